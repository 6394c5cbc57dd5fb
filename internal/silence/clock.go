package silence

import (
	"time"

	"heartbeat/internal/detect"
)

// maxStep is the longest time that counts at once. A longer gap between two readings, or between two answers of the broker, says that
// the consumer did not look, not that the customers were silent. Source: alarms.md §5.
const maxStep = 10 * time.Second

// Clock is the lit clock of a partition. It follows the newest Kafka timestamp stored, without steps of more than maxStep. It
// follows the wall clock only from one moment at which everything was stored to the next.
//
// Kafka timestamps come from the producers' clocks, so wall clock and Kafka timestamps are never compared: only their progress counts.
type Clock struct {
	lit time.Duration // since the claim

	at       detect.Time // the progress of Kafka timestamps, and of the wall clock where it is further
	caughtUp time.Time   // the latest moment at which everything was stored
	atThen   detect.Time // at, of that moment
}

// Lit returns the time that has passed.
func (c *Clock) Lit() time.Duration { return c.lit }

// Stored takes the Kafka timestamp of a record in the order of the log. 0 is none.
func (c *Clock) Stored(kafka detect.Time) {
	if c.at == 0 {
		c.at = kafka
	}
	c.advance(kafka)
}

// CaughtUp says that everything was stored that the broker had at a moment of the wall clock.
func (c *Clock) CaughtUp(moment time.Time) {
	if step := moment.Sub(c.caughtUp); !c.caughtUp.IsZero() && step > 0 && step <= maxStep {
		c.advance(c.atThen + detect.Time(step.Microseconds()))
	}
	c.caughtUp, c.atThen = moment, c.at
}

func (c *Clock) advance(to detect.Time) {
	step := time.Duration(to-c.at) * time.Microsecond
	if step <= 0 {
		return
	}
	if step <= maxStep {
		c.lit += step
	} else {
		c.atThen += to - c.at // the jump is no progress since then
	}
	c.at = to
}
