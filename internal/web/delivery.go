package web

import (
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/google/uuid"

	"heartbeat/internal/httpserver"
	"heartbeat/internal/readmodel"
	"heartbeat/internal/users"
)

type deliveriesBody struct {
	Destinations []readmodel.Destination `json:"destinations"`
	Deliveries   []readmodel.Delivery    `json:"deliveries"`
	Unrouted     int                     `json:"unrouted_events"`
}

// deliveries lists messages to people, the newest first, and what waits for each destination.
func (s *Server) deliveries(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	state := q.OneOf("state", "pending", "sent", "dead", "withdrawn")
	destination, limit := q.Get("destination"), q.Limit(50, 500)
	if destination != "" && !destinationName.MatchString(destination) {
		q.Fail("destination is %.40q: want the name of a destination", destination)
	}
	if q.Err != nil {
		return q.Err
	}
	destinations, unrouted, err := s.options.Deliveries.Depths(r.Context(), time.Now())
	if err != nil {
		return err
	}
	listed, err := s.options.Deliveries.List(r.Context(), state, destination, limit)
	if err != nil {
		return err
	}
	return httpserver.WriteJSON(w, deliveriesBody{destinations, listed, unrouted})
}

// destinationName is what the notifier's file allows.
var destinationName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)

type retriedBody struct {
	Count int `json:"retried"`
}

// retryDelivery sends a message again that was given up.
func (s *Server) retryDelivery(w http.ResponseWriter, r *http.Request) error {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil || id.String() != r.PathValue("id") {
		return httpserver.BadRequestf("%.40q is not the id of a delivery", r.PathValue("id"))
	}
	return s.retry(w, r, id, "")
}

// retryDestination sends everything again that was given up for a destination, and enables it.
func (s *Server) retryDestination(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if !destinationName.MatchString(name) {
		return httpserver.BadRequestf("%.40q is not the name of a destination", name)
	}
	return s.retry(w, r, uuid.Nil, name)
}

func (s *Server) retry(w http.ResponseWriter, r *http.Request, id uuid.UUID, destination string) error {
	count, err := s.options.Deliveries.Retry(r.Context(), id, destination, time.Now())
	if errors.Is(err, readmodel.ErrReadOnly) {
		return httpserver.NewProblem(httpserver.NotOffered, "%s", readmodel.ErrReadOnly)
	}
	if err != nil {
		return err
	}
	s.log.Info("deliveries are sent again", "count", count, "delivery", id, "destination", destination, "actor", users.ActorOf(r.Context()).Name)
	return httpserver.WriteJSON(w, retriedBody{count})
}
