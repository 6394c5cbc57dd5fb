package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaceHoldsTheRate(t *testing.T) {
	t.Parallel()
	for _, perSecond := range []float64{0.1, 2, 3, 499, 10_000, 500_000} {
		synctest.Test(t, func(t *testing.T) {
			const span = 20 * time.Second
			pace := pace{start: time.Now(), perSecond: perSecond}
			end := pace.start.Add(span)
			var count int64
			for {
				at, err := pace.await(t.Context(), count)
				if err != nil {
					t.Fatal(err)
				}
				if !at.Before(end) {
					break
				}
				if late := at.Sub(pace.due(count)); late < 0 || late > paceStep {
					t.Fatalf("%g/s: event %d came %v after it was due, want 0 to %v", perSecond, count, late, paceStep)
				}
				count++
			}
			if want := perSecond * span.Seconds(); float64(count) < want*0.99 || float64(count) > want*1.01+1 {
				t.Errorf("%g/s: %d events in %v, want %g", perSecond, count, span, want)
			}
		})
	}
}

func TestPaceCatchesUpAfterAStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pace := pace{start: time.Now(), perSecond: 10}
		<-time.After(time.Minute)
		resumed := time.Now()
		for n := range int64(601) {
			at, err := pace.await(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			if !at.Equal(resumed) {
				t.Fatalf("event %d waited until %v after the stall", n, at.Sub(resumed))
			}
		}
		at, err := pace.await(t.Context(), 601)
		if err != nil {
			t.Fatal(err)
		}
		if wait := at.Sub(resumed); wait != 100*time.Millisecond {
			t.Errorf("the first event of the regular time came after %v, want 100ms", wait)
		}
	})
}

func TestPaceEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		pace := pace{start: time.Now(), perSecond: 1e-3}
		if _, err := pace.await(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting ends with %v, want the context's error", err)
		}
		if _, err := pace.await(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an event that is due goes out after the end: %v", err)
		}
	})
}
