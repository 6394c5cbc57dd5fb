package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
)

// Handler serves a request or returns why it could not.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Responder turns handlers into HTTP handlers: an error becomes a problem.
type Responder struct {
	Logger    *slog.Logger
	Translate func(error) *Problem // what the role's own errors mean; nil, or a nil result, leaves an error to the defaults
}

// Wrap returns the HTTP handler of a handler.
func (s Responder) Wrap(inner Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := inner(w, r); err != nil {
			s.writeError(w, r, err)
		}
	}
}

// writeError writes an error of a handler. Only errors that the client did not cause go to the log.
func (s Responder) writeError(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the client has left
	}
	p := problemOf(err, s.Translate)
	if _, ours := errors.AsType[*Problem](err); !ours && p.Status >= http.StatusInternalServerError {
		s.Logger.Warn("request failed", "path", r.URL.Path, "code", p.Code, "cause", err)
	}
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	header.Del("Content-Disposition")
	if p.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int(p.retryAfter.Seconds())))
	}
	w.WriteHeader(p.Status)
	_ = json.MarshalWrite(w, p)
}

// WriteJSON writes a body as JSON.
func WriteJSON(w http.ResponseWriter, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode response: %w", err)
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	_, _ = w.Write(append(text, '\n')) // the client may have left
	return nil
}
