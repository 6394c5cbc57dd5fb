package evaluate

import (
	"slices"

	"heartbeat/internal/detect"
	"heartbeat/internal/simulate"
)

// Conditions are those that readings decide, in the order of all results.
var Conditions = [...]simulate.Condition{simulate.RateHigh, simulate.RateLow, simulate.BadSignal}

const conditionCount = len(Conditions)

// conditionIndex is the place in Conditions, -1 of any other condition.
func conditionIndex(c simulate.Condition) int { return slices.Index(Conditions[:], c) }

// Alarm is one opening of an alarm of one customer.
type Alarm struct {
	Condition simulate.Condition
	Raised    detect.Time // time used of the reading that raised it
	Urgent    bool        // of priority HIGH or MEDIUM, at once or later
	Reopened  bool        // an alarm that had ended came back
}

// Alarms are those of one customer, in order.
type Alarms struct {
	All  []Alarm
	open [conditionCount]int // 1 + index of the alarm that is active
}

func (a *Alarms) reset() { a.All, a.open = a.All[:0], [conditionCount]int{} }

// Apply takes the transitions of one reading.
func (a *Alarms) Apply(transitions []detect.Transition) {
	for i := range transitions {
		t := &transitions[i]
		condition := simulate.Condition(t.Condition.String())
		c := conditionIndex(condition)
		if c < 0 {
			continue
		}
		switch t.Kind {
		case detect.Clear:
			a.open[c] = 0
		case detect.Worsen:
			if a.open[c] > 0 {
				a.All[a.open[c]-1].Urgent = true
			}
		default:
			a.All = append(a.All, Alarm{
				Condition: condition, Raised: t.At, Urgent: t.Priority > detect.Low, Reopened: t.Kind == detect.Reopen,
			})
			a.open[c] = len(a.All)
		}
	}
}
