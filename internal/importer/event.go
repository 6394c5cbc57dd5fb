package importer

import (
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/postgres/importstore"
)

// event is a reading on its way to the wire.
type event importstore.Candidate

// check holds the event against the contract, as a consumer will: a reading that it would refuse is not sent.
func (e *event) check(now time.Time) *heartbeat.Rejection {
	var decoder heartbeat.Decoder
	_, rejection := decoder.Decode(heartbeat.Record{Value: e.appendJSON(nil), Timestamp: now})
	return rejection
}

// appendJSON appends the event's JSON object, spelled as heartbeat.Event spells its own, with the device behind.
func (e *event) appendJSON(b []byte) []byte {
	if whole := heartbeat.BPM(e.Rate); float64(whole) == e.Rate && e.Device == "" {
		return heartbeat.Event{Customer: e.Customer, Rate: whole, Time: e.Time}.AppendJSON(b)
	}
	b = append(b, `{"customer_id":"`...)
	b = e.Customer.AppendTo(b)
	b = append(b, `","heart_rate":`...)
	switch {
	case math.IsInf(e.Rate, 1): // beyond the range of a double, as the file had it
		b = append(b, "1e999"...)
	case math.IsInf(e.Rate, -1):
		b = append(b, "-1e999"...)
	default:
		b = strconv.AppendFloat(b, e.Rate, 'f', -1, 64)
	}
	b = append(b, `,"timestamp":"`...)
	b = e.Time.UTC().AppendFormat(b, heartbeat.EventTime)
	b = append(b, '"')
	if e.Device != "" {
		b = append(b, `,"device_id":`...)
		b, _ = jsontext.AppendQuote(b, e.Device)
	}
	return append(b, '}')
}
