package simulator

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestScheduleHoldsTheRate(t *testing.T) {
	t.Parallel()
	for perSecond, span := range map[float64]time.Duration{
		0.1: 20 * time.Second, 2: 20 * time.Second, 3: 20 * time.Second, 499: 20 * time.Second, 10_000: 20 * time.Second, 500_000: time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			schedule := schedule{start: time.Now(), perSecond: perSecond}
			end := schedule.start.Add(span)
			var count int64
			for {
				at, err := schedule.await(t.Context(), count)
				if err != nil {
					t.Fatal(err)
				}
				if !at.Before(end) {
					break
				}
				if late := at.Sub(schedule.due(count)); late < 0 || late > scheduleStep {
					t.Fatalf("%g/s: event %d came %v after it was due, want 0 to %v", perSecond, count, late, scheduleStep)
				}
				count++
			}
			if want := perSecond * span.Seconds(); float64(count) < want*0.99 || float64(count) > want*1.01+1 {
				t.Errorf("%g/s: %d events in %v, want %g", perSecond, count, span, want)
			}
		})
	}
}

func TestScheduleCatchesUpAfterAStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		schedule := schedule{start: time.Now(), perSecond: 10}
		<-time.After(time.Minute)
		resumed := time.Now()
		for n := range int64(601) {
			at, err := schedule.await(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			if !at.Equal(resumed) {
				t.Fatalf("event %d waited until %v after the stall", n, at.Sub(resumed))
			}
		}
		at, err := schedule.await(t.Context(), 601)
		if err != nil {
			t.Fatal(err)
		}
		if wait := at.Sub(resumed); wait != 100*time.Millisecond {
			t.Errorf("the first event of the regular time came after %v, want 100ms", wait)
		}
	})
}

func TestScheduleEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		schedule := schedule{start: time.Now(), perSecond: 1e-3}
		if _, err := schedule.await(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting ends with %v, want the context's error", err)
		}
		if _, err := schedule.await(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an event that is due goes out after the end: %v", err)
		}
	})
}
