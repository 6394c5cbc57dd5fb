// Package backoff waits: for a fixed time, or for a growing time between attempts. Every wait ends with its context.
//
// It refuses to retry by itself: what is tried, how often, and which error is final differ between its callers and stay
// with them. Its functions may be called by any goroutine.
//
// It is beside the path of a reading: kafka, pipeline and app wait with it during an outage, and pollers between two polls.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Policy is an exponential back-off with jitter.
type Policy struct {
	First time.Duration // before the second attempt
	Max   time.Duration
}

// Delay returns the time to wait after an attempt, counted from 0: First doubled each time up to Max, less up to half of
// it at random, so that many clients do not retry at the same moment.
func (p Policy) Delay(attempt int) time.Duration {
	delay := p.First
	for range attempt {
		if delay *= 2; delay >= p.Max {
			break
		}
	}
	delay = min(delay, p.Max)
	return delay/2 + rand.N(delay/2+1)
}

// Wait waits after an attempt, or returns why the context ended.
func (p Policy) Wait(ctx context.Context, attempt int) error {
	return Sleep(ctx, p.Delay(attempt))
}

// Sleep waits for the duration, or returns why the context ended.
func Sleep(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Repeat calls work at once and then after each interval until the context ends. Where the duration of the work times the factor is
// longer than the interval, the pause is that long: a slow server has time for others.
func Repeat(ctx context.Context, interval time.Duration, factor int, work func()) {
	for ctx.Err() == nil {
		began := time.Now()
		work()
		_ = Sleep(ctx, max(interval, time.Duration(factor)*time.Since(began))) // the loop ends with the context
	}
}

// Every calls work at each interval until the context ends.
func Every(ctx context.Context, interval time.Duration, work func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			work()
		}
	}
}
