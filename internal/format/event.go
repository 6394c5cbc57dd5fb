package format

import (
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"heartbeat/internal/heartbeat"
)

// AppendEvent appends the sample as an event of a customer for the wire, spelled as heartbeat.Event spells its own, with the device behind.
func (s *Sample) AppendEvent(b []byte, customer string) []byte {
	b = append(b, `{"customer_id":`...)
	b = appendText(b, customer)
	b = append(b, `,"heart_rate":`...)
	switch {
	case math.IsInf(s.Rate, 1): // beyond the range of a double, as the source had it
		b = append(b, "1e999"...)
	case math.IsInf(s.Rate, -1):
		b = append(b, "-1e999"...)
	default:
		b = strconv.AppendFloat(b, s.Rate, 'f', -1, 64)
	}
	b = append(b, `,"timestamp":"`...)
	b = s.Time.UTC().AppendFormat(b, heartbeat.EventTime)
	b = append(b, '"')
	if s.Device != "" {
		b = append(b, `,"device_id":`...)
		b = appendText(b, s.Device)
	}
	return append(b, '}')
}

// appendText appends a JSON string; bytes that are not UTF-8 are replaced.
func appendText(b []byte, text string) []byte {
	quoted, _ := jsontext.AppendQuote(b, text)
	return quoted
}
