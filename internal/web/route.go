package web

import (
	"fmt"
	"net/http"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/alarmapi"
	"heartbeat/internal/auth"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/users"
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
	query  []string                   // the parameters that it knows
	role   users.Role                 // the least that may do this
	person func(*http.Request) string // names the one person whose data is read; nil for none
	long   bool                       // the response goes on until the viewer leaves
	large  bool                       // takes a large body
	free   bool                       // takes no request slot: probes, and the stream and exports, which have limits of their own
	handle httpserver.Handler
}

func (s *Server) routes() []route {
	return []route{
		{method: "GET", path: "/healthz", role: users.Anyone, free: true, handle: s.healthz},
		{method: "GET", path: "/readyz", role: users.Anyone, free: true, handle: s.readyz},
		{method: "GET", path: "/metrics", role: users.Viewer, handle: s.scrape},
		{method: "GET", path: apiPrefix + "/openapi.json", role: users.Anyone, handle: s.openapi},
		{method: "GET", path: apiPrefix + "/session", role: users.Anyone, handle: s.session},
		{method: "POST", path: apiPrefix + "/session", role: users.Anyone, handle: s.login},
		{method: "DELETE", path: apiPrefix + "/session", role: users.Anyone, handle: s.logout},
		{method: "GET", path: apiPrefix + "/me", role: users.Viewer, handle: s.me},
		{method: "GET", path: apiPrefix + "/stream", role: users.Viewer, free: true, long: true, handle: s.stream.Serve},
		{method: "GET", path: apiPrefix + "/totals", role: users.Viewer, handle: s.totals},
		{method: "GET", path: apiPrefix + "/fleet", role: users.Viewer, query: []string{"after", "state", "limit"}, handle: s.fleet},
		{method: "GET", path: apiPrefix + "/trends", role: users.Viewer, query: []string{"range"}, handle: s.trends},
		{method: "GET", path: apiPrefix + "/alerts", role: users.Viewer, query: []string{"before", "customer", "type", "limit"}, person: inQuery("customer"), handle: s.alerts},
		{method: "GET", path: apiPrefix + "/customers/{id}", role: users.Viewer, person: inPath("id"), handle: s.customer},
		{method: "GET", path: apiPrefix + "/customers/{id}/readings", role: users.Viewer, query: []string{"from", "to", "limit"}, person: inPath("id"), handle: s.readings},
		{method: "GET", path: apiPrefix + "/customers/{id}/export", role: users.Viewer, query: []string{"from", "to", "format"}, person: inPath("id"), free: true, long: true, handle: s.export},
		{method: "GET", path: apiPrefix + "/customers/{id}/minutes", role: users.Viewer, query: []string{"from", "to"}, person: inPath("id"), handle: s.minutes},
		{method: "GET", path: apiPrefix + "/pipeline", role: users.Viewer, handle: s.pipeline},
		{method: "GET", path: apiPrefix + "/tables", role: users.Viewer, handle: s.tables},
		{method: "GET", path: apiPrefix + "/incidents", role: users.Viewer, query: []string{"limit"}, handle: s.incidents},
		{method: "GET", path: apiPrefix + "/dead-letters", role: users.Viewer, query: []string{"before", "reason", "pending", "limit"}, handle: s.deadLetters},
		{method: "GET", path: apiPrefix + "/dead-letters/{id}", role: users.Viewer, handle: s.deadLetter},
		{method: "POST", path: apiPrefix + "/dead-letters/{id}/replay", role: users.Operator, handle: s.replay},
		{method: "GET", path: apiPrefix + "/deliveries", role: users.Viewer, query: []string{"state", "destination", "limit"}, handle: s.deliveries},
		{method: "POST", path: apiPrefix + "/deliveries/{id}/retry", role: users.Operator, handle: s.retryDelivery},
		{method: "POST", path: apiPrefix + "/destinations/{name}/retry", role: users.Operator, handle: s.retryDestination},
		{method: "GET", path: apiPrefix + "/alarms", role: users.Viewer, query: alarmapi.Filters, person: inQuery("subject"), handle: s.alarms.List},
		{method: "GET", path: apiPrefix + "/alarms/{id}", role: users.Viewer, handle: s.alarms.Show},
		{method: "POST", path: apiPrefix + "/alarms/{id}", role: users.Operator, large: true, handle: s.alarms.ActOnSeveral}, // id is the action: the mux allows one name at this place
		{method: "POST", path: apiPrefix + "/alarms/{id}/ack", role: users.Operator, large: true, handle: s.alarms.Act(alarm.Acknowledged)},
		{method: "POST", path: apiPrefix + "/alarms/{id}/snooze", role: users.Operator, large: true, handle: s.alarms.Act(alarm.Snoozed)},
		{method: "POST", path: apiPrefix + "/alarms/{id}/close", role: users.Operator, large: true, handle: s.alarms.Act(alarm.Closed)},
		{method: "POST", path: apiPrefix + "/alarms/{id}/assign", role: users.Operator, large: true, handle: s.alarms.Act(alarm.Assigned)},
		{method: "POST", path: apiPrefix + "/alarms/{id}/comment", role: users.Operator, large: true, handle: s.alarms.Act(alarm.Commented)},
		{method: "GET", path: apiPrefix + "/limits", role: users.Viewer, query: []string{"scope", "cohort", "customer", "ended", "before", "limit"}, person: inQuery("customer"), handle: s.alarms.ListLimits},
		{method: "GET", path: apiPrefix + "/limits/suggested", role: users.Viewer, query: []string{"customer", "utc_offset"}, person: inQuery("customer"), handle: s.alarms.SuggestLimits},
		{method: "GET", path: apiPrefix + "/limits/trial", role: users.Viewer, handle: s.alarms.ShowTrial},
		{method: "POST", path: apiPrefix + "/limits/trial", role: users.Viewer, large: true, handle: s.alarms.StartTrial},
		{method: "POST", path: apiPrefix + "/limits/trial/{id}/cancel", role: users.Viewer, handle: s.alarms.CancelTrial},
		{method: "POST", path: apiPrefix + "/limits", role: users.Operator, large: true, handle: s.alarms.SetLimit},
		{method: "POST", path: apiPrefix + "/limits/{id}/end", role: users.Operator, large: true, handle: s.alarms.EndLimit},
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
	inner = s.auth.Wrap(auth.Access{Role: route.role, Route: route.method + " " + route.path, Subject: route.person, Long: route.long}, inner)
	return s.responder.Wrap(inner)
}

// inPath names the person of a path. An id that is none names a person who does not exist, so nothing is read.
func inPath(name string) func(*http.Request) string {
	return func(r *http.Request) string { return personOf(r.PathValue(name)) }
}

func inQuery(name string) func(*http.Request) string {
	return func(r *http.Request) string { return personOf(r.URL.Query().Get(name)) }
}

func personOf(text string) string {
	id, err := heartbeat.ParseCustomerID(text)
	if err != nil {
		return ""
	}
	return id.String()
}

// checkRoles refuses a route without the role that may use it.
func checkRoles(routes []route) error {
	for _, route := range routes {
		if !route.role.Valid() {
			return fmt.Errorf("set up console: %s %s names no role", route.method, route.path)
		}
	}
	return nil
}
