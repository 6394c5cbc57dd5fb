package simulator

import (
	"context"
	"time"

	"heartbeat/internal/backoff"
)

// schedule says when events are due: event n at start + n/perSecond, independent of the events before it. A late producer
// therefore catches up, and the rate holds over any longer time.
type schedule struct {
	start     time.Time
	perSecond float64
}

// scheduleStep is the shortest wait: events due within it are sent together, because a wake-up for each costs more than
// sending it.
const scheduleStep = 2 * time.Millisecond

// await waits until event n is due and returns the time, or the error of a context that has ended.
func (s schedule) await(ctx context.Context, n int64) (time.Time, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	now := time.Now()
	wait := s.due(n).Sub(now)
	if wait <= 0 {
		return now, nil
	}
	if err := backoff.Sleep(ctx, max(wait, scheduleStep)); err != nil {
		return time.Time{}, err
	}
	return time.Now(), nil
}

func (s schedule) due(n int64) time.Time {
	return s.start.Add(time.Duration(float64(n) / s.perSecond * float64(time.Second)))
}
