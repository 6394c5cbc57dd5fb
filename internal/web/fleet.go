package web

import (
	"net/http"
	"sort"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/live"
	"heartbeat/internal/readmodel"
)

type totalsBody struct {
	readmodel.Totals
	At          time.Time `json:"at"`
	Observed    float64   `json:"events_per_second"`
	Lag         *int64    `json:"lag"`
	Unaccounted int64     `json:"unaccounted"`
}

func (s *Server) totals(w http.ResponseWriter, _ *http.Request) error {
	snapshot := s.status.Latest()
	if snapshot.Totals == nil {
		return httpserver.NewProblem(httpserver.Unavailable, "the database did not answer the last time it was asked")
	}
	return httpserver.WriteJSON(w, totalsBody{
		Totals: *snapshot.Totals, At: snapshot.At, Observed: s.options.Fleet.Latest().Rate, Lag: snapshot.Lag, Unaccounted: snapshot.Unaccounted,
	})
}

type fleetBody struct {
	At        time.Time      `json:"at"`
	Counts    map[string]int `json:"counts"`
	Customers []fleetMember  `json:"customers"`
	Next      *string        `json:"next"` // what to ask for with after=, null on the last page
}

type fleetMember struct {
	ID    string        `json:"customer_id"`
	BPM   heartbeat.BPM `json:"heart_rate"`
	State string        `json:"state"`
	Time  time.Time     `json:"event_timestamp"`
	Since time.Time     `json:"since"`
}

func memberOf(change live.Change) fleetMember {
	return fleetMember{
		ID: change.Customer.String(), BPM: change.BPM, State: change.State().String(),
		Time: time.UnixMicro(change.Time).UTC(), Since: time.UnixMicro(change.Since).UTC(),
	}
}

func (s *Server) fleet(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	limit := q.Limit(1000, 10_000)
	after := q.customer("after")
	state := q.OneOf("state", stateNames()...)
	if q.Err != nil {
		return q.Err
	}
	frame := s.options.Fleet.Snapshot()
	body := fleetBody{At: frame.At.UTC(), Counts: map[string]int{}, Customers: []fleetMember{}}
	for state, count := range frame.Counts {
		body.Counts[live.State(state).String()] = count
	}
	body.Counts[live.Never.String()] = s.neverSeen(frame)
	body.fill(rest(frame.Changes, after), state, limit)
	return httpserver.WriteJSON(w, body)
}

// fill takes one page of the changes, which are in order of customers.
func (b *fleetBody) fill(changes []live.Change, state string, limit int) {
	for _, change := range changes {
		if state != "" && change.State().String() != state {
			continue
		}
		if len(b.Customers) == limit {
			last := b.Customers[limit-1].ID
			b.Next = &last
			return
		}
		b.Customers = append(b.Customers, memberOf(change))
	}
}

// rest returns the changes of the customers after one.
func rest(changes []live.Change, after string) []live.Change {
	if after == "" {
		return changes
	}
	id, _ := heartbeat.ParseCustomerID(after) // the query has checked it
	from := sort.Search(len(changes), func(i int) bool { return changes[i].Customer > id })
	return changes[from:]
}

// neverSeen counts the expected customers of whom nothing is known.
func (s *Server) neverSeen(frame *live.Frame) int {
	known := sort.Search(len(frame.Changes), func(i int) bool { return int(frame.Changes[i].Customer) > s.options.Pool })
	return max(s.options.Pool-known, 0)
}

func stateNames() []string {
	names := make([]string, 0, len(live.States))
	for _, state := range live.States {
		names = append(names, state.String())
	}
	return names
}
