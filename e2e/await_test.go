package e2e_test

import (
	"testing"
	"time"
)

// waitTimeout bounds conditions that normally hold within a second: the machine may be busy.
const waitTimeout = 90 * time.Second

// longWaitTimeout bounds catching up with a backlog of minutes.
const longWaitTimeout = 5 * time.Minute

// await waits until the condition returns an empty string; any other string says what is still missing.
func await(t testing.TB, within time.Duration, condition func() (missing string)) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		missing := condition()
		if missing == "" {
			return
		}
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("still not after %v: %s", within, missing)
		case <-t.Context().Done():
			t.Fatalf("test ended while waiting: %s", missing)
		}
	}
}

// elapse lets time pass in which something must not happen, or has to happen often. Everything else waits for a condition.
func elapse(t testing.TB, duration time.Duration) {
	t.Helper()
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
