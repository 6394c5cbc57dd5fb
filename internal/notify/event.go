package notify

import (
	"time"

	"github.com/google/uuid"

	"heartbeat/internal/alarm"
)

// Alarm is what messages may say of an alarm, as it is at the moment.
type Alarm struct {
	ID        alarm.ID
	Version   int64
	Subject   string
	Condition alarm.Condition
	Priority  alarm.Priority
	Cohort    string // of the subject, empty for none

	Open, Acknowledged, Snoozed bool

	Since     time.Time // raise of the latest episode, by the readings' own time
	ClearedAt time.Time

	Value, Peak, Limit int32
}

// Answered reports whether the alarm needs no call: a person has acted, or it is closed.
func (a *Alarm) Answered() bool { return a.Acknowledged || a.Snoozed || !a.Open }

// Undelivered is the kind of an event that this package makes: another destination could not be reached.
const Undelivered alarm.Kind = "undelivered"

// Event is an entry of an alarm's history, or Undelivered.
type Event struct {
	Alarm   Alarm
	Kind    alarm.Kind
	Version int64
	Tier    int16 // of the escalation; 0 for all but escalated
	At      time.Time
}

// Item is an event that waits for a message to one destination.
type Item struct {
	ID       int64
	QueuedAt time.Time
	Told     bool // the destination has been sent a message about the alarm, or may have been
	Incident Incident
	Message  uuid.UUID // that has the event already, and was not taken; zero for none
	// UndeliveredTo names the destination of an Undelivered event.
	UndeliveredTo string
	Event
}

// Incident is what a destination with incidents shows of alarms that it was told of in a storm: one for all. The zero value is that of
// an alarm by itself.
type Incident struct {
	ID   uuid.UUID
	Open int // alarms that are not closed
	Left int // of these, alarms that are not answered
}

// Type is what a message reports.
type Type string

// The types.
const (
	Raised       Type = "raised"
	Reopened     Type = "reopened" // active again: a recurrence, or again shortly after the end
	Worsened     Type = "worsened"
	Escalated    Type = "escalated" // not acknowledged in time, an acknowledgement or snooze has ended, or another destination cannot be reached
	Acknowledged Type = "acknowledged"
	Cleared      Type = "cleared" // the condition ended, or the alarm was closed by hand
	Digest       Type = "digest"  // several alarms
	Test         Type = "test"
)

// typeOf returns how an event is reported; empty for events that are not reported.
func typeOf(kind alarm.Kind) Type {
	switch kind {
	case alarm.Raised:
		return Raised
	case alarm.Recurred, alarm.Reopened:
		return Reopened
	case alarm.Worsened:
		return Worsened
	case alarm.Escalated, alarm.AcknowledgementExpired, alarm.SnoozeEnded, Undelivered:
		return Escalated
	case alarm.Acknowledged:
		return Acknowledged
	case alarm.Cleared, alarm.Closed:
		return Cleared
	default:
		return ""
	}
}

// calls reports whether a message of the type asks somebody to look; the others report that nothing is left to do.
func (t Type) calls() bool { return t == Raised || t == Reopened || t == Worsened || t == Escalated }
