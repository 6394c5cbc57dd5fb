package format

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"heartbeat/internal/heartbeat"
)

// OpenMHealth reads data points of Open mHealth and IEEE 1752: one, an array, or several one after another, each with its header or as
// a bare body.
func OpenMHealth(r io.Reader) Items {
	return func(yield func(Item, error) bool) {
		points := &pointReader{source: newJSONSource(r), yield: yield}
		if err := points.source.texts(points.text); err != nil && !errors.Is(err, errStop) {
			yield(Item{Position: points.position}, err)
		}
	}
}

// ReadOpenMHealth reads one document, a data point or an array of them. The error says why it is neither.
func ReadOpenMHealth(document []byte) ([]Item, error) {
	var items []Item
	points := &pointReader{source: newJSONSource(bytes.NewReader(document)), yield: func(item Item, _ error) bool {
		items = append(items, item)
		return true
	}}
	if err := points.source.oneText(points.text); err != nil {
		return nil, err
	}
	return items, nil
}

type pointReader struct {
	source   *jsonSource
	yield    func(Item, error) bool
	position int64
}

func (r *pointReader) text() error {
	switch r.source.next() {
	case jsontext.KindBeginArray:
		return r.source.elements(r.point)
	default:
		return r.point()
	}
}

func (r *pointReader) point() error {
	value, err := r.source.value()
	if err != nil {
		return err
	}
	sample, rejection := readPoint(value)
	item := Item{Position: r.position, Sample: sample, Rejection: rejection}
	r.position++
	if !r.yield(item, nil) {
		return errStop
	}
	return nil
}

// dataPoint is what matters of a data point; the members of a bare body stand in it directly.
type dataPoint struct {
	Header struct {
		Schema struct {
			Name string `json:"name"`
		} `json:"schema_id"`
		User       string `json:"user_id"`
		Provenance struct {
			Source string `json:"source_name"`
		} `json:"acquisition_provenance"`
	} `json:"header"`
	Body jsontext.Value `json:"body"`
}

type heartRateBody struct {
	HeartRate *struct {
		Value jsontext.Value `json:"value"`
		Unit  string         `json:"unit"`
	} `json:"heart_rate"`
	Frame struct {
		Time     string `json:"date_time"`
		Interval struct {
			Start string `json:"start_date_time"`
		} `json:"time_interval"`
	} `json:"effective_time_frame"`
	Statistic jsontext.Value `json:"descriptive_statistic"`
}

func readPoint(value jsontext.Value) (Sample, *heartbeat.Rejection) {
	if value.Kind() != jsontext.KindBeginObject {
		return Sample{}, reject(heartbeat.NotObject, "the data point is %s, want an object", kindName(value.Kind()))
	}
	var point dataPoint
	if rejection := readStrictly(value, &point); rejection != nil {
		return Sample{}, rejection
	}
	if name := point.Header.Schema.Name; name != "" && name != "heart-rate" {
		return Sample{}, reject(NotHeartRate, "the data point is of the schema %s", quote(name))
	}
	if len(point.Body) > 0 {
		value = point.Body
	}
	var body heartRateBody
	if rejection := readStrictly(value, &body); rejection != nil {
		return Sample{}, rejection
	}
	sample, rejection := body.sample()
	sample.Subject, sample.Device = shorten(point.Header.User), shorten(point.Header.Provenance.Source)
	return sample, rejection
}

func (b *heartRateBody) sample() (sample Sample, rejection *heartbeat.Rejection) {
	if b.HeartRate == nil {
		return sample, reject(NotHeartRate, "the body has no heart_rate")
	}
	if len(b.Statistic) > 0 && b.Statistic.Kind() != jsontext.KindNull {
		return sample, reject(DescriptiveStatistic, "the value is the %s of many readings", shorten(text(b.Statistic)))
	}
	if sample.Rate, rejection = readNumber("heart_rate.value", b.HeartRate.Value); rejection != nil {
		return sample, rejection
	}
	if b.HeartRate.Unit != "beats/min" {
		return sample, reject(WrongUnit, "heart_rate.unit is %s, want beats/min", quote(b.HeartRate.Unit))
	}
	if start := b.Frame.Interval.Start; start != "" { // an interval counts from its start
		sample.Time, rejection = readTime("effective_time_frame.time_interval.start_date_time", start)
	} else {
		sample.Time, rejection = readTime("effective_time_frame.date_time", b.Frame.Time)
	}
	return sample, rejection
}
