package web

import (
	"net/http"

	"heartbeat/internal/httpserver"
	"heartbeat/internal/readmodel"
)

const maxTables = 1000

// pipeline returns the status snapshot: partitions, lag and health.
func (s *Server) pipeline(w http.ResponseWriter, _ *http.Request) error {
	return httpserver.WriteJSON(w, s.status.Latest())
}

type tablesBody struct {
	Tables []readmodel.Table `json:"tables"`
}

func (s *Server) tables(w http.ResponseWriter, r *http.Request) error {
	tables, err := s.options.Store.Tables(r.Context(), maxTables)
	if err != nil {
		return err
	}
	return httpserver.WriteJSON(w, tablesBody{tables})
}

type incidentsBody struct {
	Incidents []readmodel.Incident `json:"incidents"`
}

func (s *Server) incidents(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	limit := q.Limit(100, 1000)
	if q.Err != nil {
		return q.Err
	}
	incidents, err := s.options.Store.Incidents(r.Context(), limit)
	if err != nil {
		return err
	}
	return httpserver.WriteJSON(w, incidentsBody{incidents})
}
