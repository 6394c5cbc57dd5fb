package web

import (
	"net/http"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/readmodel"
)

type alertsBody struct {
	Alerts []readmodel.Anomaly `json:"alerts"`
	Next   *string             `json:"next"` // what to ask for with before=, null on the last page
}

// alerts returns a page of the stored anomalies, newest first. Live ones come with the stream.
func (s *Server) alerts(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	before := q.cursor("before")
	query := readmodel.AnomalyQuery{
		Before: before.at, BeforeID: before.id, Customer: q.customer("customer"),
		Type:  q.OneOf("type", heartbeat.Bradycardia.String(), heartbeat.Tachycardia.String(), heartbeat.Invalid.String()),
		Limit: q.Limit(100, 1000),
	}
	if q.Err != nil {
		return q.Err
	}
	alerts, err := s.options.Store.Anomalies(r.Context(), query)
	if err != nil {
		return err
	}
	body := alertsBody{Alerts: alerts}
	if len(alerts) == query.Limit {
		next := cursorAfter(alerts[len(alerts)-1])
		body.Next = &next
	}
	return httpserver.WriteJSON(w, body)
}
