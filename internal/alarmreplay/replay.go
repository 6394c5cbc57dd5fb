// Package alarmreplay runs the detector over a stored log again and compares its transitions with the history of alarms.
// `heartbeat verify --replay` uses it.
//
// It reads neither Kafka nor the database: the caller passes the records of each partition and the events that they caused, both
// in the order of their offsets. It decides nothing where the log cannot: for customers whose readings lie in several partitions,
// and for the first readings of customers in a log whose start is gone. It keeps one state for each customer, and no records.
//
// A Replay belongs to one goroutine.
package alarmreplay

import (
	"fmt"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
)

// A customer in a log whose start is gone is compared after this much of its readings: then every rule but the alarms
// themselves has forgotten what came before.
const (
	warmUpReadings = 64               // more than a stuck value needs
	warmUpTime     = 30 * time.Minute // more than a stuck value, a bad signal and a reopening need
)

// maxDifferences bounds what is kept; more are counted.
const maxDifferences = 10_000

// Replay compares the partitions one after the other.
type Replay struct {
	Readings    int64 // stepped
	Transitions int64 // compared, stored or not

	// Observe, if set, is called for each reading with the transitions that the detector gives, which are valid during the call.
	Observe func(customer heartbeat.CustomerID, reading detect.Reading, transitions []detect.Transition)

	limits    *detect.LimitHistory
	settings  detect.Settings
	customers map[heartbeat.CustomerID]*customer

	differences []Difference
	more        int64
	gaps        []Gap
}

// customer is what the replay knows of one customer.
type customer struct {
	state     detect.State
	partition int32 // number of the partition, in the order of Begin
	moved     bool
	trusted   bool // the state is that of the consumer
	readings  int
	first     detect.Time
}

// Difference is a transition that is not stored as the replay gives it.
type Difference struct {
	alarm.Position
	Customer heartbeat.CustomerID
	Detail   string
}

// minGap is how many transitions in a row must be missing for a Gap: fewer are more likely lost one by one.
const minGap = 3

// Gap is a stretch of a log whose readings give transitions of which none is stored, as where a consumer did not detect.
type Gap struct {
	Log         string
	Partition   int32
	From, To    int64 // offsets of the first and the last of them
	Transitions int64
}

// New returns a replay with the limits that people set.
func New(settings detect.Settings, limits *detect.LimitHistory) *Replay {
	return &Replay{limits: limits, settings: settings, customers: map[heartbeat.CustomerID]*customer{}}
}

// Customers returns how many customers were replayed, and of how many the log decides nothing.
func (r *Replay) Customers() (all, undecided int) {
	for _, c := range r.customers {
		if c.moved || !c.trusted {
			undecided++
		}
	}
	return len(r.customers), undecided
}

// Differences returns the differences found, at most 10,000, and how many more there are.
func (r *Replay) Differences() (found []Difference, more int64) {
	for _, d := range r.differences {
		if c := r.customers[d.Customer]; c == nil || !c.moved {
			found = append(found, d)
		}
	}
	return found, r.more
}

// Gaps returns the stretches without any stored transition, in the order of the logs.
func (r *Replay) Gaps() []Gap { return r.gaps }

func (r *Replay) add(at alarm.Position, customer heartbeat.CustomerID, format string, arguments ...any) {
	if len(r.differences) == maxDifferences {
		r.more++
		return
	}
	r.differences = append(r.differences, Difference{at, customer, fmt.Sprintf(format, arguments...)})
}

func describe(t *alarm.Transition) string {
	return text(t.Subject, t.Condition, t.Kind, t.Priority, t.At, t.Since, t.Measure, t.Alarm)
}

func describeEvent(e *alarm.Event) string {
	return text(e.Subject, e.Condition, e.Kind, e.Priority, e.At, e.Since, e.Measure, e.Alarm)
}

func text(subject string, condition alarm.Condition, kind alarm.Kind, priority alarm.Priority, at, since time.Time, m alarm.Measure, id alarm.ID) string {
	return fmt.Sprintf("%s of %s %s %s at %s since %s, value %d, peak %d, limit %d%s, alarm %s", condition, subject, kind, priority,
		at.UTC().Format(time.RFC3339Nano), since.UTC().Format(time.RFC3339Nano), m.Value, m.Peak, m.Limit, detail(m.Detail), id)
}

func detail(text string) string {
	if text == "" {
		return ""
	}
	return ", " + text
}
