package importer

import (
	"time"

	"heartbeat/internal/format"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/postgres/importstore"
)

// event is a reading on its way to the wire.
type event importstore.Candidate

// check holds the event against the contract, as a consumer will: a reading that it would refuse is not sent.
func (e *event) check(decoder *heartbeat.Decoder, now time.Time) *heartbeat.Rejection {
	_, rejection := decoder.Decode(heartbeat.Record{Value: e.appendJSON(nil), Timestamp: now})
	return rejection
}

// appendJSON appends the event as it goes on the wire.
func (e *event) appendJSON(b []byte) []byte {
	sample := format.Sample{Rate: e.Rate, Time: e.Time, Device: e.Device}
	return sample.AppendEvent(b, e.Customer.String())
}
