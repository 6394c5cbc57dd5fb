package pipeline

import "heartbeat/internal/heartbeat"

// customers holds the latest reading of each customer whose stored state is behind. Folding is commutative and
// idempotent, so reading a stretch of the log twice gives the same states.
type customers map[heartbeat.CustomerID]CustomerState

func (c customers) fold(readings []Reading) {
	for i := range readings {
		reading := &readings[i]
		held, ok := c[reading.Customer]
		if ok && (reading.Time.Before(held.Time) || reading.Time.Equal(held.Time) && reading.Offset < held.Offset) {
			continue
		}
		c[reading.Customer] = CustomerState{Reading: reading.Reading, Offset: reading.Offset}
	}
}

func (c customers) list() []CustomerState {
	states := make([]CustomerState, 0, len(c))
	for _, state := range c {
		states = append(states, state)
	}
	return states
}
