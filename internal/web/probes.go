package web

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"heartbeat/internal/httpserver"
	"heartbeat/internal/progress"
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

// readyz says whether readings are stored: whether database and broker answer, and no partition stands still while records
// wait. It reads the snapshot instead of asking them, because anybody may send this request at any rate.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) error {
	snapshot := s.status.Latest()
	switch {
	case snapshot.Totals == nil || time.Since(snapshot.At) > snapshotOld:
		return httpserver.NewProblem(httpserver.Unavailable, "the database did not answer the last time it was asked")
	case len(snapshot.Stalled) > 0:
		return httpserver.NewProblem(httpserver.NotStored, "%s", progress.Describe(snapshot.Stalled))
	case !snapshot.BrokerSince.IsZero() && snapshot.At.Sub(snapshot.BrokerSince) >= progress.StalledAfter:
		return httpserver.NewProblem(httpserver.BrokerUnavailable, "the broker or the topic has not answered since %s",
			snapshot.BrokerSince.Format(time.RFC3339))
	}
	return httpserver.WriteJSON(w, statusBody{Status: "ready"})
}

func (s *Server) scrape(w http.ResponseWriter, r *http.Request) error {
	promhttp.HandlerFor(s.options.Registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return nil
}
