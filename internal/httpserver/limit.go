package httpserver

import (
	"context"
	"net/http"
	"time"
)

// Limiter lets a bounded number of requests work at a time, each for a bounded time on a bounded body.
type Limiter struct {
	slots   chan struct{} // one element for each request under way
	timeout time.Duration
	body    int64
}

// NewLimiter returns a limiter for this many requests at a time.
func NewLimiter(requests int, timeout time.Duration, bodyBytes int64) *Limiter {
	return &Limiter{slots: make(chan struct{}, requests), timeout: timeout, body: bodyBytes}
}

// Wrap puts the limits around a handler.
func (l *Limiter) Wrap(inner Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		select {
		case l.slots <- struct{}{}:
			defer func() { <-l.slots }()
		default:
			return NewProblem(TooManyRequests, "%d requests are being served already: try again", cap(l.slots)).RetryAfter(time.Second)
		}
		ctx, cancel := context.WithTimeout(r.Context(), l.timeout)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, l.body)
		return inner(w, r)
	}
}
