package simulator

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSimulatedTimeKeepsToTheMachinesClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		clock := &simulatedClock{logger: slog.New(slog.NewTextHandler(&log, nil))}
		start := time.Now()
		await := func(at time.Duration) time.Duration {
			t.Helper()
			shift, err := clock.await(t.Context(), start.Add(at))
			if err != nil {
				t.Fatal(err)
			}
			if due := start.Add(at).Add(shift); time.Since(due) > clockTolerance || time.Until(due) > 0 {
				t.Errorf("simulated %v is awaited until %v, want %v", at, time.Now(), due)
			}
			return shift
		}
		if shift := await(time.Hour); shift != 0 || time.Since(start) != time.Hour {
			t.Errorf("the first wait shifts by %v and ends after %v, want no shift and an hour", shift, time.Since(start))
		}
		time.Sleep(20 * time.Second)
		if shift := await(time.Hour + time.Second); shift != 0 {
			t.Errorf("simulated time moves by %v when 19 s late, want it to catch up", shift)
		}
		time.Sleep(time.Hour)
		if shift := await(time.Hour + 2*time.Second); shift != time.Hour+18*time.Second {
			t.Errorf("simulated time moves by %v after a sleep of an hour, want all of it", shift)
		}
		if !strings.Contains(log.String(), "simulated time moved") || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("log is %q, want one line about the move", log.String())
		}

		// A clock that was set back looks as if the last readings were due in the future.
		clock.shift += 24 * time.Hour
		before := time.Now()
		if await(time.Hour + 3*time.Second); time.Since(before) > time.Minute {
			t.Errorf("waits %v after the clock was set back", time.Since(before))
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := clock.await(canceled, start.Add(2*time.Hour)); err == nil {
			t.Error("waits though its context has ended")
		}
	})
}
