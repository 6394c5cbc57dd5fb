package heartbeat

import (
	"strconv"
	"time"
)

// Event is a reading on its way to the wire: what a producer sends, before anybody has judged it.
type Event struct {
	Customer CustomerID
	Rate     BPM
	Time     time.Time
}

// EventTime is the layout of the timestamp of an event: RFC 3339 in UTC. All six digits are always there, so that texts sort as their times do.
const EventTime = "2006-01-02T15:04:05.000000+00:00"

// AppendJSON appends the event to b as the JSON object that goes on the wire.
func (e Event) AppendJSON(b []byte) []byte {
	b = append(b, `{"customer_id":"`...)
	b = e.Customer.AppendTo(b)
	b = append(b, `","heart_rate":`...)
	b = strconv.AppendInt(b, int64(e.Rate), 10)
	b = append(b, `,"timestamp":"`...)
	b = e.Time.UTC().AppendFormat(b, EventTime)
	return append(b, `"}`...)
}
