package pipeline

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstDelay = 50 * time.Millisecond
	lastDelay  = 5 * time.Second
	// stoppedDelay is how long a stopped partition waits before it looks whether a person has repaired the cause.
	stoppedDelay = 30 * time.Second
)

// pause waits before the next attempt: twice as long each time, between half and all of it so that many workers
// do not come back at once.
func pause(ctx context.Context, attempt int) error {
	delay := min(firstDelay<<min(attempt, 10), lastDelay)
	return wait(ctx, delay/2+rand.N(delay/2))
}

func wait(ctx context.Context, delay time.Duration) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
