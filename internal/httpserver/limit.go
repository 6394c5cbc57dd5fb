package httpserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// bodyTimeout bounds how long a client may take to send a small body.
const bodyTimeout = 2 * time.Second

// Limiter lets a bounded number of requests work at a time, each for a bounded time on a bounded body.
type Limiter struct {
	slots   chan struct{} // one element for each request under way
	timeout time.Duration
}

// NewLimiter returns a limiter for this many requests at a time.
func NewLimiter(requests int, timeout time.Duration) *Limiter {
	return &Limiter{slots: make(chan struct{}, requests), timeout: timeout}
}

// Wrap puts the limits around a handler whose body has at most this many bytes. The body is read before the request takes a slot: a client that sends slowly holds
// up no other.
func (l *Limiter) Wrap(inner Handler, bodyBytes int64) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := readBody(w, r, bodyBytes)
		if err != nil {
			return err
		}
		select {
		case l.slots <- struct{}{}:
			defer func() { <-l.slots }()
		default:
			return NewProblem(TooManyRequests, "%d requests are being served already: try again", cap(l.slots)).RetryAfter(time.Second)
		}
		ctx, cancel := context.WithTimeout(r.Context(), l.timeout)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = io.NopCloser(bytes.NewReader(body))
		return inner(w, r)
	}
}

func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout)) // a recorder in a test has none
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	_ = control.SetReadDeadline(time.Time{})
	switch {
	case err == nil:
		return body, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close") // the rest of the body may still come
		return nil, NewProblem(BodyTimeout, "the body did not arrive within %s", bodyTimeout)
	default:
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, err
		}
		return nil, NewProblem(BadRequest, "the body cannot be read: it ends early or its framing is wrong")
	}
}
