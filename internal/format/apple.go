package format

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"heartbeat/internal/heartbeat"
)

// healthData is the root of Apple's exports.
const healthData = "HealthData"

// Apple reads export.xml of Apple Health. Positions count its records, of any type.
func Apple(r io.Reader) Items {
	return func(yield func(Item, error) bool) {
		tags := &xmlTags{reader: bufio.NewReaderSize(r, 256<<10)}
		apple := &appleReader{others: map[string]*heartbeat.Rejection{}}
		for position := int64(0); ; {
			tag, err := tags.next()
			if err != nil {
				if err = apple.end(err, position); err != nil {
					yield(Item{Position: position}, err)
				}
				return
			}
			name, attributes := nameOf(tag)
			switch {
			case name == healthData:
				apple.begun = true
			case name == "/"+healthData:
				apple.ended = true
			case name == "Record" && apple.begun && !apple.ended:
				sample, rejection := apple.record(attributes)
				if !yield(Item{Position: position, Sample: sample, Rejection: rejection}, nil) {
					return
				}
				position++
			}
		}
	}
}

type appleReader struct {
	begun, ended bool
	device       string                          // of the last record: nearly always that of the next
	others       map[string]*heartbeat.Rejection // by type: most records are no heart rates
}

// end says whether the end of the text is that of an export.
func (a *appleReader) end(err error, records int64) error {
	switch {
	case a.ended:
		return nil
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("read after %d records: %w", records, err)
	case a.begun:
		return fmt.Errorf("the text ends after %d records without </%s>: the file is cut", records, healthData)
	default:
		return fmt.Errorf("there is no <%s>: this is not an export of Apple Health", healthData)
	}
}

const appleHeartRate = "HKQuantityTypeIdentifierHeartRate"

func (a *appleReader) record(attributes []byte) (sample Sample, rejection *heartbeat.Rejection) {
	var kind, unit, start, value string
	var source []byte
	for name, text, rest, ok := attribute(attributes); ok; name, text, rest, ok = attribute(rest) {
		switch string(name) {
		case "type":
			if string(text) != appleHeartRate {
				return sample, a.other(text)
			}
			kind = appleHeartRate
		case "unit":
			unit = unescape(text)
		case "startDate":
			start = unescape(text)
		case "value":
			value = strings.TrimSpace(unescape(text))
		case "sourceName":
			source = text
		}
	}
	if kind == "" {
		return sample, reject(heartbeat.MissingField, "type is missing")
	}
	if unit != "count/min" {
		return sample, reject(WrongUnit, "unit is %s, want count/min", quote(unit))
	}
	if sample.Rate, rejection = readDecimal("value", value); rejection != nil {
		return sample, rejection
	}
	if device := shorten(unescape(source)); device != a.device {
		a.device = device
	}
	sample.Device = a.device
	sample.Time, rejection = readAppleTime(start)
	return sample, rejection
}

func (a *appleReader) other(kind []byte) *heartbeat.Rejection {
	rejection, known := a.others[string(kind)]
	if !known {
		rejection = reject(NotHeartRate, "the record is of the type %s", quote(unescape(kind)))
		if len(a.others) < 1_000 {
			a.others[string(kind)] = rejection
		}
	}
	return rejection
}

// readAppleTime reads a time such as 2021-12-11 18:04:47 -0700.
func readAppleTime(text string) (time.Time, *heartbeat.Rejection) {
	const form = "2006-01-02 15:04:05 -0700"
	if len(text) != len(form) || text[len(form)-6] != ' ' {
		return time.Time{}, badAppleTime(text)
	}
	at, ok := heartbeat.ParseTimestamp(text[:len(form)-6] + text[len(form)-5:len(form)-2] + ":" + text[len(form)-2:])
	if !ok {
		return time.Time{}, badAppleTime(text)
	}
	return at, nil
}

func badAppleTime(text string) *heartbeat.Rejection {
	if text == "" {
		return reject(heartbeat.MissingField, "startDate is missing")
	}
	return reject(heartbeat.BadTimestamp, "startDate is %s, want a time such as 2021-12-11 18:04:47 -0700", quote(text))
}
