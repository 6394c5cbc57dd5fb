package format

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"heartbeat/internal/heartbeat"
)

// Fitbit reads the heart rates of a Fitbit export, whose times are UTC unless the options have a zone, and the intraday answers of
// Fitbit's API, whose times are local and need one.
func Fitbit(r io.Reader, options Options) Items {
	return func(yield func(Item, error) bool) {
		zone := options.Zone
		if zone == nil {
			zone = time.UTC
		}
		fitbit := &fitbitReader{source: newJSONSource(r), yield: yield, options: options, clock: localClock{zone: zone}}
		if err := fitbit.source.texts(fitbit.text); err != nil && !errors.Is(err, errStop) {
			yield(Item{Position: fitbit.position}, err)
		}
	}
}

type fitbitReader struct {
	source   *jsonSource
	yield    func(Item, error) bool
	options  Options
	clock    localClock
	position int64
}

func (f *fitbitReader) text() error {
	if f.source.next() == jsontext.KindBeginArray {
		return f.source.elements(func() error {
			value, err := f.source.value()
			if err != nil {
				return err
			}
			return f.give(f.exported(value))
		})
	}
	value, err := f.source.value()
	if err != nil {
		return err
	}
	return f.day(value)
}

func (f *fitbitReader) give(sample Sample, rejection *heartbeat.Rejection) error {
	item := Item{Position: f.position, Sample: sample, Rejection: rejection}
	f.position++
	if !f.yield(item, nil) {
		return errStop
	}
	return nil
}

// exported reads an element such as {"dateTime":"04/22/19 04:00:05","value":{"bpm":69,"confidence":2}}.
func (f *fitbitReader) exported(element jsontext.Value) (sample Sample, rejection *heartbeat.Rejection) {
	var e struct {
		Time  string         `json:"dateTime"`
		Value jsontext.Value `json:"value"`
	}
	if rejection := readStrictly(element, &e); rejection != nil {
		return sample, rejection
	}
	if e.Value.Kind() != jsontext.KindBeginObject {
		return sample, reject(NotHeartRate, "the value has no bpm")
	}
	var v struct {
		BPM        jsontext.Value `json:"bpm"`
		Confidence jsontext.Value `json:"confidence"`
	}
	if rejection := readStrictly(e.Value, &v); rejection != nil {
		return sample, rejection
	}
	if len(v.BPM) == 0 {
		return sample, reject(NotHeartRate, "the value has no bpm")
	}
	if len(v.Confidence) > 0 {
		confidence, rejection := readNumber("value.confidence", v.Confidence)
		if rejection != nil {
			return sample, rejection
		}
		if confidence == 0 {
			return sample, reject(LowConfidence, "the confidence is 0")
		}
	}
	if sample.Rate, rejection = readNumber("value.bpm", v.BPM); rejection != nil {
		return sample, rejection
	}
	sample.Time, rejection = f.exportedTime(e.Time)
	return sample, rejection
}

var exportedForm = regexp.MustCompile(`^(\d\d)/(\d\d)/(\d\d) (\d\d:\d\d:\d\d)$`)

// exportedTime reads month/day/year and a time.
func (f *fitbitReader) exportedTime(text string) (time.Time, *heartbeat.Rejection) {
	parts := exportedForm.FindStringSubmatch(text)
	if parts == nil {
		return time.Time{}, reject(heartbeat.BadTimestamp, "dateTime is %s, want a time such as 04/22/19 04:00:05", quote(text))
	}
	return f.clock.read("20" + parts[3] + "-" + parts[1] + "-" + parts[2] + "T" + parts[4])
}

// intraday is what matters of an intraday answer: the readings of one day.
type intraday struct {
	Days []struct {
		Date string `json:"dateTime"`
	} `json:"activities-heart"`
	Intraday *struct {
		Dataset []struct {
			Time  string         `json:"time"`
			Value jsontext.Value `json:"value"`
		} `json:"dataset"`
	} `json:"activities-heart-intraday"`
}

var dateForm = regexp.MustCompile(`\d{4}-\d\d-\d\d`)

func (f *fitbitReader) day(value jsontext.Value) error {
	var answer intraday
	if rejection := readStrictly(value, &answer); rejection != nil {
		return f.give(Sample{}, rejection)
	}
	if answer.Intraday == nil {
		return f.give(Sample{}, reject(NotHeartRate, "there is no activities-heart-intraday"))
	}
	if f.options.Zone == nil {
		return errors.New("the times are local and have no offset; give the zone, such as --zone Europe/Berlin")
	}
	date := dateForm.FindString(f.options.Name)
	switch len(answer.Days) {
	case 0:
	case 1:
		date = answer.Days[0].Date
	default:
		return fmt.Errorf("activities-heart has %d days, want one", len(answer.Days))
	}
	if date == "" {
		return errors.New("there is no activities-heart with the date; give the file a name with it, such as 2026-02-20.json")
	}
	for _, point := range answer.Intraday.Dataset {
		sample, rejection := Sample{}, (*heartbeat.Rejection)(nil)
		if sample.Rate, rejection = readNumber("value", point.Value); rejection == nil {
			sample.Time, rejection = f.clock.read(date + "T" + point.Time)
		}
		if err := f.give(sample, rejection); err != nil {
			return err
		}
	}
	return nil
}
