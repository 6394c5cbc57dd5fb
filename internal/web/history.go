package web

import (
	"net/http"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/live"
	"heartbeat/internal/readmodel"
	"heartbeat/internal/status"
)

// period is a choice of the range picker.
type period struct {
	name   string
	length time.Duration
	step   time.Duration
}

// periods give a chart 15 to 336 steps.
func periods() []period {
	return []period{
		{"15m", 15 * time.Minute, time.Minute},
		{"1h", time.Hour, time.Minute},
		{"24h", 24 * time.Hour, 5 * time.Minute},
		{"7d", 7 * 24 * time.Hour, 30 * time.Minute},
	}
}

func periodNamed(name string) period {
	for _, p := range periods() {
		if p.name == name {
			return p
		}
	}
	return periods()[1]
}

type trendBody struct {
	Range   string             `json:"range"`
	Step    int                `json:"step_seconds"`
	From    time.Time          `json:"from"`
	To      time.Time          `json:"to"`
	Buckets []readmodel.Bucket `json:"buckets"`
	Seconds []secondBody       `json:"seconds"` // only of the last 15 minutes, and only since the console started
	Lag     []readmodel.Lag    `json:"lag"`     // what the console saw, and before it started what consumers wrote down
}

type secondBody struct {
	At          time.Time      `json:"at"`
	Valid       int64          `json:"valid"`
	Bradycardia int64          `json:"bradycardia"`
	Tachycardia int64          `json:"tachycardia"`
	Invalid     int64          `json:"invalid"`
	Avg         *float64       `json:"avg_bpm"`
	Min         *heartbeat.BPM `json:"min_bpm"`
	Max         *heartbeat.BPM `json:"max_bpm"`
	Delay       float64        `json:"delay_ms"` // mean time from event to console
	Slowest     float64        `json:"slowest_ms"`
}

func (s *Server) trends(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	period := periodNamed(q.OneOf("range", "15m", "1h", "24h", "7d"))
	if q.Err != nil {
		return q.Err
	}
	now := time.Now().UTC()
	span := readmodel.Span{From: now.Add(-period.length).Truncate(period.step), To: now.Add(time.Minute), Step: period.step}
	buckets, err := s.options.Store.Trend(r.Context(), span)
	if err != nil {
		return err
	}
	written, err := s.options.Store.Lag(r.Context(), span)
	if err != nil {
		return err
	}
	body := trendBody{
		Range: period.name, Step: int(period.step.Seconds()), From: span.From, To: now,
		Buckets: buckets, Seconds: []secondBody{}, Lag: status.MergeLag(written, s.status.LagHistory(span)),
	}
	if period.length <= 15*time.Minute {
		for _, second := range s.options.Fleet.Seconds(span.From) {
			body.Seconds = append(body.Seconds, secondOf(second))
		}
	}
	return httpserver.WriteJSON(w, body)
}

func secondOf(s live.Second) secondBody {
	valid := s.Classes[heartbeat.Normal]
	body := secondBody{
		At: time.Unix(s.Unix, 0).UTC(), Valid: valid, Bradycardia: s.Classes[heartbeat.Bradycardia],
		Tachycardia: s.Classes[heartbeat.Tachycardia], Invalid: s.Classes[heartbeat.Invalid],
		Slowest: float64(s.Slowest) / 1000,
	}
	var all int64
	for _, count := range s.Classes {
		all += count
	}
	if all > 0 {
		body.Delay = float64(s.Delay/all) / 1000
	}
	if valid > 0 {
		avg := float64(s.Sum) / float64(valid)
		body.Avg, body.Min, body.Max = &avg, &s.Min, &s.Max
	}
	return body
}

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
