package notify

import (
	"time"

	"github.com/google/uuid"

	"heartbeat/internal/alarm"
)

// Entry is what a message reports of one alarm.
type Entry struct {
	Alarm         Alarm
	Type          Type   // of the last event
	Events        []Type // all of them, in order: raised and cleared before a message was made are one entry
	Tier          int16
	At            time.Time // of the last event
	UndeliveredTo []string  // destinations that were called before and could not be reached

	items    []int64
	messages []uuid.UUID // that have items already
	queuedAt time.Time
	raises   int
	fresh    int // raises that are in no message yet
	told     bool
	incident Incident
}

// Message is what a destination is sent at once: one alarm, or several of one condition and cohort, or in a storm everything.
type Message struct {
	ID       uuid.UUID // of the delivery
	Type     Type
	At       time.Time // of the event, or of the latest that is made known
	MadeAt   time.Time
	Priority alarm.Priority // the highest
	Entries  []Entry        // the worst first
	Storm    bool
	Incident Incident // of a destination with incidents; the zero value is that of the alarm itself
	Raises   int
	Items    []int64 // of the queue
}

// State is what a message makes of an incident.
type State string

// The states, as PagerDuty calls them.
const (
	Triggered   State = "trigger"
	Acknowledge State = "acknowledge"
	Resolve     State = "resolve"
)

// Key identifies the incident of a message: its alarm, or its storm.
func (m *Message) Key() uuid.UUID {
	switch {
	case m.Incident.ID != uuid.Nil:
		return m.Incident.ID
	case len(m.Entries) == 1:
		return m.Entries[0].Alarm.ID
	default:
		return m.ID
	}
}

// State follows from what the alarms are now, not from what happened: an alarm that ended before a person saw it stays an incident.
func (m *Message) State() State {
	if len(m.Entries) == 0 {
		return Triggered // a test
	}
	open, left := m.Incident.Open, m.Incident.Left
	if m.Incident.ID == uuid.Nil {
		open, left = count(m.Entries)
	}
	switch {
	case m.Calls() || left > 0:
		return Triggered
	case open > 0:
		return Acknowledge
	default:
		return Resolve
	}
}

func count(entries []Entry) (open, left int) {
	for i := range entries {
		if entries[i].Alarm.Open {
			open++
		}
		if !entries[i].Alarm.Answered() {
			left++
		}
	}
	return open, left
}

// Calls reports whether the message asks for an answer to an alarm that has none.
func (m *Message) Calls() bool {
	for i := range m.Entries {
		if m.Entries[i].calls() {
			return true
		}
	}
	return false
}

func (e *Entry) calls() bool { return e.Type.calls() && !e.Alarm.Answered() }

func messageOf(entries []Entry, now time.Time) Message {
	message := Message{Type: Digest, At: now, MadeAt: now, Entries: entries}
	if len(entries) == 1 {
		message.Type, message.At = entries[0].Type, entries[0].At
	}
	for i := range entries {
		message.Priority = max(message.Priority, entries[i].Alarm.Priority)
		message.Raises += entries[i].raises
		message.Items = append(message.Items, entries[i].items...)
	}
	return message
}
