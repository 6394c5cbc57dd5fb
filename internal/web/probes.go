package web

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"heartbeat/internal/httpserver"
)

// snapshotOld makes a status snapshot one that is no longer updated. A slow database alone does not make it that old.
const snapshotOld = 2 * time.Minute

type statusBody struct {
	Status string `json:"status"`
}

// healthz says that the process answers, and nothing more.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return httpserver.WriteJSON(w, statusBody{Status: "ok"})
}

// readyz says whether the console can show what it is for: it needs the database. It reads the
// snapshot instead of asking the database, because anybody may send this request at any rate.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) error {
	if snapshot := s.status.Latest(); snapshot.Totals == nil || time.Since(snapshot.At) > snapshotOld {
		return httpserver.NewProblem(httpserver.Unavailable, "the database did not answer the last time it was asked")
	}
	return httpserver.WriteJSON(w, statusBody{Status: "ready"})
}

func (s *Server) scrape(w http.ResponseWriter, r *http.Request) error {
	promhttp.HandlerFor(s.options.Registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return nil
}
