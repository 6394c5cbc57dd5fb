package pipeline

import (
	"time"

	"heartbeat/internal/heartbeat"
)

const (
	// stateAge is how long a customer's state waits for further readings before it is stored: what a customer says
	// meanwhile costs no write.
	stateAge = time.Second
	// stateEvery is how often states are stored at most, and stateMost how many go along with one batch. Few at a time
	// hold no batch up, and their product bounds what states cost, however many customers there are: what the writer
	// cannot take then waits, and is replayed after a crash.
	stateEvery = 50 * time.Millisecond
	stateMost  = 50
)

// customers holds the latest reading of each customer whose stored state is behind, in the order in which they fell
// behind. Folding is commutative and idempotent, so reading a stretch of the log twice gives the same states.
type customers struct {
	latest map[heartbeat.CustomerID]CustomerState
	queue  []dirty
}

// dirty says since which offset and when a customer's stored state is behind.
type dirty struct {
	customer heartbeat.CustomerID
	since    int64
	at       time.Time
}

func newCustomers() customers {
	return customers{latest: map[heartbeat.CustomerID]CustomerState{}}
}

// fold takes in readings that are stored, in the order of their offsets.
func (c *customers) fold(readings []Reading, now time.Time) {
	for i := range readings {
		reading := &readings[i]
		held, ok := c.latest[reading.Customer]
		if !ok {
			c.queue = append(c.queue, dirty{reading.Customer, reading.Offset, now})
		} else if reading.Time.Before(held.Time) || reading.Time.Equal(held.Time) && reading.Offset < held.Offset {
			continue
		}
		c.latest[reading.Customer] = CustomerState{Reading: reading.Reading, Offset: reading.Offset}
	}
}

// ripe returns how many of the oldest have waited since before a time, most at most.
func (c *customers) ripe(before time.Time, most int) (count int) {
	for count < min(most, len(c.queue)) && !c.queue[count].at.After(before) {
		count++
	}
	return count
}

// first returns the states that have been behind for longest.
func (c *customers) first(count int) []CustomerState {
	if count == 0 {
		return nil
	}
	states := make([]CustomerState, count)
	for i := range states {
		states[i] = c.latest[c.queue[i].customer]
	}
	return states
}

// since returns the first offset that stored states do not cover once the first of them are stored, of all below next.
func (c *customers) since(count int, next int64) int64 {
	if count < len(c.queue) {
		return c.queue[count].since
	}
	return next
}

// drop forgets the first states: they are stored.
func (c *customers) drop(count int) {
	for _, d := range c.queue[:count] {
		delete(c.latest, d.customer)
	}
	c.queue = c.queue[count:]
}
