package pgtest

import (
	"testing"
	"time"
)

// Await returns once the condition holds, and fails the test when that takes longer than a minute.
func Await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(time.Minute)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited a minute for %s", what)
		}
	}
}
