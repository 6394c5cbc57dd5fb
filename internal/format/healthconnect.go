package format

import (
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"heartbeat/internal/heartbeat"
)

// HealthConnect reads heart rate records of Android's Health Connect: one, an array, or several one after another. Positions count
// samples.
func HealthConnect(r io.Reader) Items {
	return func(yield func(Item, error) bool) {
		records := &healthConnectReader{source: newJSONSource(r), yield: yield}
		err := records.source.texts(func() error {
			if records.source.next() == jsontext.KindBeginArray {
				return records.source.elements(records.record)
			}
			return records.record()
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(Item{Position: records.position}, err)
		}
	}
}

type healthConnectReader struct {
	source   *jsonSource
	yield    func(Item, error) bool
	position int64
}

// record reads one record, whose samples are streamed. Its device is known only if the metadata stand first.
func (h *healthConnectReader) record() error {
	if h.source.next() != jsontext.KindBeginObject {
		value, err := h.source.value()
		if err != nil {
			return err
		}
		return h.give(Sample{}, reject(heartbeat.NotObject, "the record is %s, want an object", kindName(value.Kind())))
	}
	device, found := "", false
	err := h.source.members(func(name string) error {
		switch {
		case name == "samples" && h.source.next() == jsontext.KindBeginArray:
			found = true
			return h.source.elements(func() error { return h.sample(device) })
		case name == "metadata":
			value, err := h.source.value()
			device = recordDevice(value)
			return err
		default:
			return h.source.skip()
		}
	})
	if err != nil || found {
		return err
	}
	return h.give(Sample{}, reject(NotHeartRate, "the record has no samples"))
}

func (h *healthConnectReader) sample(device string) error {
	value, err := h.source.value()
	if err != nil {
		return err
	}
	return h.give(readHealthConnect(value, device))
}

func (h *healthConnectReader) give(sample Sample, rejection *heartbeat.Rejection) error {
	item := Item{Position: h.position, Sample: sample, Rejection: rejection}
	h.position++
	if !h.yield(item, nil) {
		return errStop
	}
	return nil
}

// recordDevice is the model of the device, where the metadata name one.
func recordDevice(metadata jsontext.Value) string {
	var m struct {
		Device struct {
			Model string `json:"model"`
		} `json:"device"`
	}
	if readStrictly(metadata, &m) != nil {
		return ""
	}
	return shorten(m.Device.Model)
}

// readHealthConnect reads a sample. Google's newer interface writes whole numbers as strings.
func readHealthConnect(value jsontext.Value, device string) (Sample, *heartbeat.Rejection) {
	var s struct {
		Time string         `json:"time"`
		Rate jsontext.Value `json:"beatsPerMinute"`
	}
	if rejection := readStrictly(value, &s); rejection != nil {
		return Sample{}, rejection
	}
	if len(s.Rate) == 0 {
		return Sample{}, reject(NotHeartRate, "the sample has no beatsPerMinute")
	}
	sample := Sample{Device: device}
	var rejection *heartbeat.Rejection
	if s.Rate.Kind() == jsontext.KindString {
		sample.Rate, rejection = readDecimal("beatsPerMinute", strings.TrimSpace(text(s.Rate)))
	} else {
		sample.Rate, rejection = readNumber("beatsPerMinute", s.Rate)
	}
	if rejection != nil {
		return sample, rejection
	}
	sample.Time, rejection = readTime("time", s.Time)
	return sample, rejection
}
