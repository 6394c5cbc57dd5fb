package destination_test

import (
	"time"

	"github.com/google/uuid"

	"heartbeat/internal/alarm"
	"heartbeat/internal/notify"
)

var noon = time.Date(2026, 2, 20, 12, 0, 0, 0, time.UTC)

// hostile is text that would be structure in a header, in JSON, in HTML or in a template.
const hostile = "CUST_1\"}\r\nBcc: x@example.org\r\n\r\n{{.}} <script>\u2028\x00"

// raised returns the message of a raise.
func raised(subject string) *notify.Message {
	return message(notify.Raised, notify.Alarm{
		ID: uuid.MustParse("6f1c0b5e-52a7-4d0f-a1c3-0c9b6b2f6e11"), Version: 1, Subject: subject, Condition: alarm.RateHigh, Priority: alarm.High,
		Cohort: subject, Open: true, Since: noon, Value: 20177, Peak: 20277, Limit: 18077,
	})
}

func message(kind notify.Type, a notify.Alarm) *notify.Message {
	return &notify.Message{
		ID: uuid.MustParse("0b0e7f0e-4c59-4d26-9b11-2f6c1d3a5e70"), Type: kind, At: noon, MadeAt: noon.Add(2 * time.Second), Priority: a.Priority,
		Entries: []notify.Entry{{Alarm: a, Type: kind, Events: []notify.Type{kind}, At: noon}},
	}
}

// digest returns a message of several alarms, each open unless its index is odd.
func digest(count int) *notify.Message {
	m := &notify.Message{ID: uuid.New(), Type: notify.Digest, At: noon, MadeAt: noon, Priority: alarm.High, Storm: true, Incident: notify.Incident{ID: uuid.New()}}
	for i := range count {
		one := raised("CUST_1").Entries[0]
		one.Alarm.ID, one.Alarm.Open = uuid.New(), i%2 == 0
		if !one.Alarm.Open {
			one.Type, one.Alarm.ClearedAt = notify.Cleared, noon.Add(time.Minute)
		}
		m.Entries = append(m.Entries, one)
	}
	return m
}
