package web

import (
	"errors"
	"net/http"
	"time"

	"heartbeat/internal/httpserver"
	"heartbeat/internal/readmodel"
)

const (
	longestTrace   = 31 * 24 * time.Hour
	longestMinutes = 7 * 24 * time.Hour
	maxSamples     = 20_000
)

type customerBody struct {
	ID     string              `json:"customer_id"`
	Live   *fleetMember        `json:"live"`   // what the stream shows, null when nothing was seen
	Stored *readmodel.Customer `json:"stored"` // null when nothing is stored
}

func (s *Server) customer(w http.ResponseWriter, r *http.Request) error {
	id, err := customerIn(r)
	if err != nil {
		return err
	}
	body := customerBody{ID: id.String()}
	if change, known := s.options.Fleet.Lookup(id); known {
		member := memberOf(change)
		body.Live = &member
	}
	stored, err := s.options.Store.Customer(r.Context(), body.ID)
	switch {
	case err == nil:
		body.Stored = &stored
	case !errors.Is(err, readmodel.ErrNotFound):
		return err
	case body.Live == nil && int(id) > s.options.Pool:
		return httpserver.NewProblem(httpserver.NotFound, "no reading of %s was ever seen or stored", body.ID)
	}
	return httpserver.WriteJSON(w, body)
}

type readingsBody struct {
	ID        string             `json:"customer_id"`
	From      time.Time          `json:"from"`
	To        time.Time          `json:"to"`
	Truncated bool               `json:"truncated"` // there are older readings in the range than the limit let through
	Readings  []readmodel.Sample `json:"readings"`  // newest first
}

// readings returns the newest of the raw trace.
func (s *Server) readings(w http.ResponseWriter, r *http.Request) error {
	id, err := customerIn(r)
	if err != nil {
		return err
	}
	q := newQuery(r)
	limit := q.Limit(2000, maxSamples)
	from, to := q.span(time.Hour, longestTrace)
	if q.Err != nil {
		return q.Err
	}
	trace := readmodel.Trace{Customer: id.String(), From: from, To: to, Limit: limit + 1} // one more shows whether there are more
	samples, err := s.options.Store.Trace(r.Context(), trace)
	if err != nil {
		return err
	}
	body := readingsBody{ID: trace.Customer, From: from, To: to, Truncated: len(samples) > limit, Readings: samples[:min(len(samples), limit)]}
	return httpserver.WriteJSON(w, body)
}

type minutesBody struct {
	ID      string             `json:"customer_id"`
	From    time.Time          `json:"from"`
	To      time.Time          `json:"to"`
	Step    int                `json:"step_seconds"`
	Minutes []readmodel.Minute `json:"minutes"`
}

// minutes returns the trace minute by minute, or in wider steps over a longer range.
func (s *Server) minutes(w http.ResponseWriter, r *http.Request) error {
	id, err := customerIn(r)
	if err != nil {
		return err
	}
	q := newQuery(r)
	from, to := q.span(time.Hour, longestMinutes)
	if q.Err != nil {
		return q.Err
	}
	span := readmodel.Span{From: from, To: to, Step: stepOf(to.Sub(from))}
	minutes, err := s.options.Store.Minutes(r.Context(), id.String(), span)
	if err != nil {
		return err
	}
	return httpserver.WriteJSON(w, minutesBody{ID: id.String(), From: from, To: to, Step: int(span.Step.Seconds()), Minutes: minutes})
}

// stepOf keeps the number of steps below 400 or so.
func stepOf(length time.Duration) time.Duration {
	for _, step := range []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute} {
		if length <= 400*step {
			return step
		}
	}
	return 30 * time.Minute
}
