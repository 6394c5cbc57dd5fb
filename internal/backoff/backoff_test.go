package backoff_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"heartbeat/internal/backoff"
)

func TestDelayDoublesUpToTheMaximum(t *testing.T) {
	t.Parallel()
	policy := backoff.Policy{First: 50 * time.Millisecond, Max: 5 * time.Second}
	full := policy.First
	for attempt := range 200 {
		if delay := policy.Delay(attempt); delay < full/2 || delay > full {
			t.Errorf("delay after attempt %d is %v, want %v to %v", attempt, delay, full/2, full)
		}
		full = min(2*full, policy.Max)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		began := time.Now()
		if err := backoff.Sleep(ctx, time.Hour); !errors.Is(err, cause) {
			t.Errorf("error is %v, want the cause of the context's end", err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("slept for %v, want 1s", took)
		}
		if err := backoff.Sleep(t.Context(), time.Minute); err != nil {
			t.Errorf("error is %v after the whole duration", err)
		}
	})
}

func TestEveryWorksAtEachIntervalUntilTheContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
		defer cancel()
		count := 0
		backoff.Every(ctx, 10*time.Second, func() { count++ })
		if count != 3 {
			t.Errorf("worked %d times in 35 s at an interval of 10 s, want 3", count)
		}
	})
}

func TestRepeatRestsInProportionToTheWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var calls []time.Duration
		backoff.Repeat(ctx, time.Minute, 9, func() {
			calls = append(calls, time.Since(began))
			switch len(calls) {
			case 2:
				time.Sleep(10 * time.Minute) // synctest's clock
			case 3:
				cancel()
			}
		})
		if want := []time.Duration{0, time.Minute, 101 * time.Minute}; !slices.Equal(calls, want) {
			t.Errorf("calls after %v, want %v", calls, want)
		}
		if ended := time.Since(began); ended != 101*time.Minute {
			t.Errorf("ended after %v, want the context's end to end the pause", ended)
		}
	})
}
