package web

import (
	"net/http"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/alarmapi"
	"heartbeat/internal/httpserver"
)

const (
	maxBody        = 4 << 10
	maxLargeBody   = 128 << 10 // an action on a thousand alarms, or a long note of escaped characters
	requestTimeout = 10 * time.Second
	apiPrefix      = "/api/v1"
)

// route is one operation of the API. The OpenAPI file describes exactly these.
type route struct {
	method string
	path   string
	query  []string // the parameters that it knows
	open   bool     // needs no token
	large  bool     // takes a large body
	free   bool     // takes no request slot: probes, and the stream, which has a limit of its own
	handle httpserver.Handler
}

func (s *Server) routes() []route {
	return []route{
		{method: "GET", path: "/healthz", open: true, free: true, handle: s.healthz},
		{method: "GET", path: "/readyz", open: true, free: true, handle: s.readyz},
		{method: "GET", path: "/metrics", handle: s.scrape},
		{method: "GET", path: apiPrefix + "/openapi.json", open: true, handle: s.openapi},
		{method: "GET", path: apiPrefix + "/session", open: true, handle: s.session},
		{method: "POST", path: apiPrefix + "/session", open: true, handle: s.login},
		{method: "DELETE", path: apiPrefix + "/session", open: true, handle: s.logout},
		{method: "GET", path: apiPrefix + "/stream", free: true, handle: s.stream.Serve},
		{method: "GET", path: apiPrefix + "/totals", handle: s.totals},
		{method: "GET", path: apiPrefix + "/fleet", query: []string{"after", "state", "limit"}, handle: s.fleet},
		{method: "GET", path: apiPrefix + "/trends", query: []string{"range"}, handle: s.trends},
		{method: "GET", path: apiPrefix + "/alerts", query: []string{"before", "customer", "type", "limit"}, handle: s.alerts},
		{method: "GET", path: apiPrefix + "/customers/{id}", handle: s.customer},
		{method: "GET", path: apiPrefix + "/customers/{id}/readings", query: []string{"from", "to", "limit", "format", "download"}, handle: s.readings},
		{method: "GET", path: apiPrefix + "/customers/{id}/minutes", query: []string{"from", "to"}, handle: s.minutes},
		{method: "GET", path: apiPrefix + "/pipeline", handle: s.pipeline},
		{method: "GET", path: apiPrefix + "/tables", handle: s.tables},
		{method: "GET", path: apiPrefix + "/incidents", query: []string{"limit"}, handle: s.incidents},
		{method: "GET", path: apiPrefix + "/dead-letters", query: []string{"before", "reason", "pending", "limit"}, handle: s.deadLetters},
		{method: "GET", path: apiPrefix + "/dead-letters/{id}", handle: s.deadLetter},
		{method: "POST", path: apiPrefix + "/dead-letters/{id}/replay", handle: s.replay},
		{method: "GET", path: apiPrefix + "/alarms", query: alarmapi.Filters, handle: s.alarms.List},
		{method: "GET", path: apiPrefix + "/alarms/{id}", handle: s.alarms.Show},
		{method: "POST", path: apiPrefix + "/alarms/{id}", large: true, handle: s.alarms.ActOnSeveral}, // id is the action: the mux allows one name at this place
		{method: "POST", path: apiPrefix + "/alarms/{id}/ack", large: true, handle: s.alarms.Act(alarm.Acknowledged)},
		{method: "POST", path: apiPrefix + "/alarms/{id}/snooze", large: true, handle: s.alarms.Act(alarm.Snoozed)},
		{method: "POST", path: apiPrefix + "/alarms/{id}/close", large: true, handle: s.alarms.Act(alarm.Closed)},
		{method: "POST", path: apiPrefix + "/alarms/{id}/assign", large: true, handle: s.alarms.Act(alarm.Assigned)},
		{method: "POST", path: apiPrefix + "/alarms/{id}/comment", large: true, handle: s.alarms.Act(alarm.Commented)},
		{method: "GET", path: apiPrefix + "/limits", query: []string{"scope", "cohort", "customer", "ended", "before", "limit"}, handle: s.alarms.ListLimits},
		{method: "POST", path: apiPrefix + "/limits", large: true, handle: s.alarms.SetLimit},
		{method: "POST", path: apiPrefix + "/limits/{id}/end", large: true, handle: s.alarms.EndLimit},
	}
}

func (s *Server) mux() *http.ServeMux {
	mux := http.NewServeMux()
	methods := map[string]string{}
	for _, route := range s.routes() {
		mux.HandleFunc(route.method+" "+route.path, s.serve(route))
		methods[route.path] += " " + route.method
	}
	for path, allowed := range methods {
		mux.HandleFunc(path, s.responder.Wrap(func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Allow", allowed[1:])
			return httpserver.NewProblem(httpserver.MethodNotAllowed, "%s is not among the methods of %s:%s", r.Method, r.URL.Path, allowed)
		}))
	}
	mux.HandleFunc("/api/", s.responder.Wrap(func(_ http.ResponseWriter, r *http.Request) error {
		return httpserver.NewProblem(httpserver.NotFound, "there is no %s; %s/openapi.json lists what there is", r.URL.Path, apiPrefix)
	}))
	mux.Handle("/", s.pages())
	return mux
}

// serve puts the route's checks and limits around its handler.
func (s *Server) serve(route route) http.HandlerFunc {
	inner := s.checkedQuery(route)
	if !route.free {
		body := int64(maxBody)
		if route.large {
			body = maxLargeBody
		}
		inner = s.limiter.Wrap(inner, body)
	}
	if !route.open {
		inner = s.authorized(inner)
	}
	return s.responder.Wrap(inner)
}
