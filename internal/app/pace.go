package app

import (
	"context"
	"time"
)

// pace is a timetable: event n is due at start + n/perSecond, whatever became of the events before it. Whoever falls
// behind therefore catches up, and the rate holds over any longer time.
type pace struct {
	start     time.Time
	perSecond float64
}

// paceStep is the shortest wait: events that fall due within it go out together, because waking up for each of
// them costs more than sending it.
const paceStep = 2 * time.Millisecond

// await waits until event n is due and returns the time, or the error of a context that has ended.
func (p pace) await(ctx context.Context, n int64) (time.Time, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	now := time.Now()
	wait := p.due(n).Sub(now)
	if wait <= 0 {
		return now, nil
	}
	timer := time.NewTimer(max(wait, paceStep))
	defer timer.Stop()
	select {
	case <-timer.C:
		return time.Now(), nil
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
}

func (p pace) due(n int64) time.Time {
	return p.start.Add(time.Duration(float64(n) / p.perSecond * float64(time.Second)))
}
