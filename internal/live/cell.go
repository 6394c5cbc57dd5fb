package live

import "heartbeat/internal/heartbeat"

const (
	pageBits = 10
	pageSize = 1 << pageBits
)

// cell is the newest reading of one customer. Times are Unix microseconds; zero means never seen.
type cell struct {
	time         int64
	since        int64  // when the present state began
	frame        uint64 // the frame that carries the last change
	stateChanged uint64 // the frame that carries the last change of state
	bpm          heartbeat.BPM
	silent       bool // as stored
}

// page is a stretch of consecutive customer numbers. frame is the newest frame of its cells.
type page struct {
	frame uint64
	cells [pageSize]cell
}

func (c *cell) state() State {
	switch {
	case c.time == 0:
		return Never
	case c.silent:
		return Silent
	default:
		return StateOf(c.bpm)
	}
}

// take makes a reading the cell's value, unless the cell has a newer one, and reports whether it did.
func (c *cell) take(reading heartbeat.Reading) bool {
	at := reading.Time.UnixMicro()
	if at < c.time {
		return false
	}
	before := c.state()
	c.time, c.bpm = at, reading.BPM
	if c.state() != before {
		c.since = at
	}
	return true
}

func (c *cell) change(id heartbeat.CustomerID, after uint64) Change {
	return Change{
		Customer:     id,
		BPM:          c.bpm,
		Silent:       c.silent,
		StateChanged: c.stateChanged > after,
		Time:         c.time,
		Since:        c.since,
	}
}
