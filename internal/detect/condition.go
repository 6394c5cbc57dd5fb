package detect

import "heartbeat/internal/heartbeat"

// Condition is what is wrong with a person or with the signal of a person.
type Condition uint8

// The conditions this package decides.
const (
	RateHigh  Condition = iota + 1 // heart rate above the upper limit, sustained
	RateLow                        // heart rate below the lower limit, sustained
	BadSignal                      // readings that no rate can be judged from
)

// Conditions are all conditions in the order in which one reading's transitions are reported.
var Conditions = [...]Condition{RateHigh, RateLow, BadSignal}

// String returns the name used in tables, messages and the API.
func (c Condition) String() string {
	switch c {
	case RateHigh:
		return "rate_high"
	case RateLow:
		return "rate_low"
	case BadSignal:
		return "bad_signal"
	default:
		return "unknown"
	}
}

// Priority orders alarms: a higher one needs a person sooner.
type Priority uint8

// The priorities. The detector itself uses Low and High.
const (
	Low Priority = iota + 1
	Medium
	High
)

// String returns the name used in tables, messages and the API.
func (p Priority) String() string {
	switch p {
	case Low:
		return "low"
	case Medium:
		return "medium"
	case High:
		return "high"
	default:
		return "unknown"
	}
}

// Kind is what a transition does to an alarm.
type Kind uint8

// The kinds of transitions. The detector never eases an alarm, and never raises a condition that is active: in its
// stream an opening (Raise or Reopen) and a Clear alternate, with at most one Worsen between them.
const (
	Raise  Kind = iota + 1 // a new alarm
	Reopen                 // the condition is back within the reopen window: the same alarm again
	Worsen                 // an unconfirmed alarm is confirmed: LOW becomes HIGH
	Clear                  // the condition is over
)

// String returns the name used in tables, messages and the API.
func (k Kind) String() string {
	switch k {
	case Raise:
		return "raise"
	case Reopen:
		return "reopen"
	case Worsen:
		return "worsen"
	case Clear:
		return "clear"
	default:
		return "unknown"
	}
}

// Opens reports whether the alarm is active after the transition and was not before.
func (k Kind) Opens() bool { return k == Raise || k == Reopen }

// Transition is one change of one alarm, caused by one reading.
type Transition struct {
	Alarm     AlarmID // of an opening: the id of the alarm if it is a new one
	Condition Condition
	Kind      Kind
	Priority  Priority // after the transition; of a Clear, the priority that ends
	// Value is what was held against Limit, and Peak the furthest Value of the episode so far. Of a rate they are bpm.
	// Of BadSignal they are the percentage of bad readings.
	Value, Peak, Limit heartbeat.BPM
	Stuck              bool  // BadSignal because the value does not change
	Since              Time  // first reading of the run that led here: onset of an opening, entry into the clear band
	At                 Time  // time used of the reading
	Offset             int64 // of the reading, in the Source of the detector
}
