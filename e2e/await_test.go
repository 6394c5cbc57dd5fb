package e2e_test

import (
	"testing"
	"time"
)

// patience is how long a condition may take that normally holds within a second: the machine may be busy.
const patience = 90 * time.Second

// longPatience is for catching up with a backlog of minutes.
const longPatience = 5 * time.Minute

// await waits until the condition holds. The condition returns empty when it does, and otherwise what is still amiss.
func await(t testing.TB, within time.Duration, condition func() (amiss string)) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		amiss := condition()
		if amiss == "" {
			return
		}
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("still not after %v: %s", within, amiss)
		case <-t.Context().Done():
			t.Fatalf("test ended while waiting: %s", amiss)
		}
	}
}

// elapse lets time pass in which something must not happen, or has to happen often: it is the only way to wait here
// that waits for nothing.
func elapse(t testing.TB, duration time.Duration) {
	t.Helper()
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
