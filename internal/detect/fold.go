package detect

import (
	"slices"

	"heartbeat/internal/heartbeat"
)

// Change is what the transitions of one alarm in one batch come to.
type Change struct {
	First, Last Transition    // of the batch; the alarm is new when First is a Raise
	Highest     Priority      // an episode keeps its highest priority
	Peak        heartbeat.BPM // furthest value
	Opened      int           // raises and reopenings
	Worsened    bool          // voids acknowledgement and snooze
}

// Active reports whether the alarm is active after the batch.
func (c *Change) Active() bool { return c.Last.Kind != Clear }

// Fold appends to out one Change for each alarm among the transitions of one customer, given in the order of their offsets.
// Alarms that end closed come before the one of each condition that may stay open.
func Fold(transitions []Transition, out []Change) []Change {
	start := len(out)
	for _, t := range transitions {
		at := slices.IndexFunc(out[start:], func(c Change) bool { return c.Last.Alarm == t.Alarm })
		if at < 0 {
			out = append(out, Change{First: t, Highest: t.Priority, Peak: t.Peak})
			at = len(out) - 1 - start
		}
		c := &out[start+at]
		c.Last = t
		c.Highest = max(c.Highest, t.Priority)
		c.Peak = further(t.Condition, c.Peak, t.Peak)
		c.Worsened = c.Worsened || t.Kind == Worsen
		if t.Kind.Opens() {
			c.Opened++
		}
	}
	slices.SortStableFunc(out[start:], func(a, b Change) int {
		switch {
		case a.Active() == b.Active():
			return 0
		case b.Active():
			return -1
		default:
			return 1
		}
	})
	return out
}

func further(c Condition, a, b heartbeat.BPM) heartbeat.BPM {
	if c == RateLow {
		return min(a, b)
	}
	return max(a, b)
}
