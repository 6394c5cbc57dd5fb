package live

import (
	"time"

	"heartbeat/internal/heartbeat"
)

// Cursor is all that a viewer has to remember. The zero Cursor has seen nothing.
type Cursor struct {
	Frame uint64
	Alert uint64
}

// Change is the present value of one customer.
type Change struct {
	Customer     heartbeat.CustomerID
	BPM          heartbeat.BPM
	Silent       bool
	StateChanged bool  // the state is not the one the viewer knew
	Time         int64 // of the reading, Unix microseconds
	Since        int64 // when the present state began, Unix microseconds
}

// State returns the display state.
func (c Change) State() State {
	if c.Silent {
		return Silent
	}
	return StateOf(c.BPM)
}

// Alert is an anomalous reading with its number in the ring.
type Alert struct {
	ID       uint64
	Customer heartbeat.CustomerID
	Class    heartbeat.Class
	BPM      heartbeat.BPM
	Time     time.Time
}

// Counts says how many customers are in each state; Never is always zero, a Hub knows only whom it has seen.
type Counts [stateCount]int

// Frame is what changed between two ticks, in ascending order of customers. Frames are shared between viewers and
// are not to be modified.
type Frame struct {
	From, To  uint64 // changes after frame From up to and including frame To
	At        time.Time
	Changes   []Change
	Counts    Counts
	Observed  uint64  // readings since the Hub was made
	Untracked uint64  // readings of customers beyond MaxCustomers
	Rate      float64 // readings per second over the last seconds
}

// Update is one answer to a viewer: a frame, the alerts raised since its cursor, and the cursor to come back with.
type Update struct {
	*Frame
	Alerts []Alert
	Missed uint64 // alerts after the cursor that the ring or the limit no longer held
	Cursor Cursor
}
