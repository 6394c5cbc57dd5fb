package alarm

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// ID names an alarm or an event. Ids of what a log causes are derived from the log, so a replay gives the same.
type ID = uuid.UUID

// ParseID reads the text of an id.
func ParseID(text string) (ID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return ID{}, refuse(BadRequest, "%.40q is not an alarm's id such as 0b54b2f0-5a3c-5d0c-9d5e-0c4f1d3a7e21", text)
	}
	return id, nil
}

// Kind says what happened to an alarm.
type Kind string

// The kinds of events.
const (
	// Of the detector, from the log.
	Raised   Kind = "raised"   // a new alarm
	Recurred Kind = "recurred" // raised while the alarm was open
	Reopened Kind = "reopened" // raised shortly after the alarm was closed
	Worsened Kind = "worsened"
	Eased    Kind = "eased"
	Cleared  Kind = "cleared" // the condition ended
	Stale    Kind = "stale"   // the signal was lost while active
	Fresh    Kind = "fresh"   // the signal came back

	// Of time.
	AcknowledgementExpired Kind = "acknowledgement_expired"
	SnoozeEnded            Kind = "snooze_ended"
	Escalated              Kind = "escalated"

	// Of operators.
	Acknowledged Kind = "acknowledged"
	Snoozed      Kind = "snoozed"
	Assigned     Kind = "assigned"
	Commented    Kind = "commented"
	Closed       Kind = "closed"
)

// ByOperator tells whether a person causes events of the kind.
func (k Kind) ByOperator() bool {
	switch k {
	case Acknowledged, Snoozed, Assigned, Commented, Closed:
		return true
	default:
		return false
	}
}

// Position is a place in a log. The log is the label that rows carry as kafka_topic.
type Position struct {
	Log       string `json:"kafka_topic"`
	Partition int32  `json:"kafka_partition"`
	Offset    int64  `json:"kafka_offset"`
}

// Measure holds the values that a transition carries. A value of 0 does not apply to the condition.
type Measure struct {
	Value int32 `json:"value,omitzero"`
	Peak  int32 `json:"peak,omitzero"`  // the most extreme value
	Limit int32 `json:"limit,omitzero"` // the limit in force
	// Detail tells apart what has one condition, such as stuck of bad_signal; empty otherwise.
	Detail string `json:"detail,omitzero"`
}

// Event is one row of an alarm's history. Which fields count depends on its kind.
type Event struct {
	ID      ID        `json:"event_id"`
	Alarm   ID        `json:"alarm_id"`
	Version int64     `json:"version"` // of the alarm after the event
	Kind    Kind      `json:"kind"`
	At      time.Time `json:"at"` // by the reading's own time, or when the operator acted
	// RecordedAt is when the database stored the event.
	RecordedAt time.Time `json:"recorded_at,omitzero"`
	Actor      string    `json:"actor,omitzero"`    // empty for the detector and for time
	Subject    string    `json:"-"`                 // of Raised
	Condition  Condition `json:"-"`                 // of Raised
	Priority   Priority  `json:"priority,omitzero"` // after Raised, Recurred, Reopened, Worsened, Eased
	Since      time.Time `json:"since,omitzero"`    // the first reading of the run that led here
	Measure
	Until    time.Time `json:"until,omitzero"`    // of Acknowledged and Snoozed
	Assignee string    `json:"assignee,omitzero"` // of Assigned; empty takes the assignment back
	Tier     int16     `json:"tier,omitzero"`     // of Escalated
	Note     string    `json:"note,omitzero"`
	*Position
}

// Transition is what the consumer says of one condition of one subject. Its kind is Raised, Reopened, Worsened, Eased,
// Cleared, Stale or Fresh. A raise while an alarm is open becomes Recurred in the store: operators, whom the detector does
// not know, keep an alarm open or close it.
type Transition struct {
	Alarm     ID // of a new alarm
	Subject   string
	Condition Condition
	Kind      Kind
	Priority  Priority // after the transition
	At        time.Time
	Since     time.Time // the first reading of the run that led here
	Measure
	Offset int64 // of the reading that caused it
}

// namespace of the events' ids, a random constant.
var namespace = uuid.MustParse("6f1c0b5e-52a7-4d0f-a1c3-0c9b6b2f6e11")

// EventID returns the id of the event that a transition in a partition of a log causes, so that the same transition written
// again changes nothing. Conditions of the fleet come from no reading: their time tells them apart.
func (t *Transition) EventID(log string, partition int32) ID {
	name := make([]byte, 0, 128)
	for _, part := range [...]string{log, t.Subject, string(t.Condition), string(t.Kind)} {
		name = binary.AppendUvarint(name, uint64(len(part)))
		name = append(name, part...)
	}
	name = binary.BigEndian.AppendUint32(name, uint32(partition))
	name = binary.BigEndian.AppendUint64(name, uint64(t.Offset))
	if t.Condition.OfFleet() {
		name = binary.BigEndian.AppendUint64(name, uint64(t.At.UnixMicro()))
	}
	return uuid.NewSHA1(namespace, name)
}

// Rounds splits the transitions of a batch so that each round has at most one of each (subject, condition), in order. A
// statement updates a row once, so each round is one execution. The outcome of a transition depends on what operators did
// to the alarm, which only the row's lock fixes, so transitions cannot be folded before.
func Rounds(transitions []Transition) [][]Transition {
	type key struct {
		subject   string
		condition Condition
	}
	var rounds [][]Transition
	next := make(map[key]int, len(transitions))
	for _, t := range transitions {
		k := key{t.Subject, t.Condition}
		round := next[k]
		next[k]++
		if round == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[round] = append(rounds[round], t)
	}
	return rounds
}
