package live

import (
	"time"

	"heartbeat/internal/heartbeat"
)

const (
	pageBits = 10
	pageSize = 1 << pageBits

	// silentIntervals times its typical interval without a reading makes a customer silent. Ten, because the simulator draws
	// customers at random: gaps are exponential and one in 22,000 is that long.
	silentIntervals = 10
	// minSilence keeps a fast sender from being called silent for a hiccup of the network.
	minSilence = 15 * time.Second
	// unknownSilence applies to a customer of whom only one reading is known.
	unknownSilence = 5 * time.Minute
)

// cell is the newest reading of one customer. Times are Unix microseconds; zero means never seen.
type cell struct {
	time         int64
	since        int64  // when the present state began
	interval     int64  // smoothed time between readings, 0 when unknown
	frame        uint64 // the frame that carries the last change
	stateChanged uint64 // the frame that carries the last change of state
	bpm          heartbeat.BPM
	silent       bool
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
	if gap := at - c.time; c.time != 0 && gap > 0 {
		c.learn(gap)
	}
	c.time, c.bpm, c.silent = at, reading.BPM, false
	if c.state() != before {
		c.since = at
	}
	return true
}

// learn smooths the time between readings. One long gap is an outage and counts for little; several are a new interval.
func (c *cell) learn(gap int64) {
	if c.interval == 0 {
		c.interval = gap
		return
	}
	c.interval += (min(gap, 4*c.interval) - c.interval) / 4
}

// overdue reports whether the customer has been quiet for too long at now.
func (c *cell) overdue(now int64) bool {
	limit := unknownSilence.Microseconds()
	if c.interval != 0 {
		limit = max(silentIntervals*c.interval, minSilence.Microseconds())
	}
	return now-c.time > limit
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
