package web

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/readmodel"
)

// query reads the parameters of a request and keeps the first thing wrong with them.
type query struct{ *httpserver.Query }

func newQuery(r *http.Request) query { return query{httpserver.NewQuery(r)} }

// checkedQuery refuses parameters that the route does not know.
func (s *Server) checkedQuery(route route) httpserver.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := httpserver.CheckQuery(r.URL.RawQuery, route.query); err != nil {
			return err
		}
		return route.handle(w, r)
	}
}

func (q query) customer(name string) string {
	text := q.Get(name)
	if text == "" {
		return ""
	}
	id, err := heartbeat.ParseCustomerID(text)
	if err != nil {
		q.Fail("%s is not a customer's id such as CUST_00042", name)
		return ""
	}
	return id.String()
}

// span reads from and to, the last length of time unless given, at most longest apart.
func (q query) span(length, longest time.Duration) (from, to time.Time) {
	to = q.Time("to", time.Now().UTC().Add(10*time.Minute)) // events may be that far ahead
	end := to
	if now := time.Now().UTC(); end.After(now) {
		end = now
	}
	from = q.Time("from", end.Add(-length))
	switch {
	case !from.Before(to):
		q.Fail("from is not before to")
	case to.Sub(from) > longest+time.Hour:
		q.Fail("from and to are more than %s apart", longest)
	}
	return from, to
}

// pageCursor is the last anomaly of a page.
type pageCursor struct {
	at time.Time
	id int64
}

func cursorAfter(last readmodel.Anomaly) string {
	text := strconv.FormatInt(last.EventTime.UnixMicro(), 36) + "." + strconv.FormatInt(last.ID, 36)
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

func (q query) cursor(name string) pageCursor {
	text := q.Get(name)
	if text == "" {
		return pageCursor{}
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	at, id, found := strings.Cut(string(raw), ".")
	micros, atErr := strconv.ParseInt(at, 36, 64)
	number, idErr := strconv.ParseInt(id, 36, 64)
	last := time.UnixMicro(micros).UTC()
	if err != nil || !found || atErr != nil || idErr != nil || !httpserver.InCalendar(last) {
		q.Fail("%s is not a cursor that an earlier page returned", name)
		return pageCursor{}
	}
	return pageCursor{last, number}
}

// customerIn reads the customer of a path.
func customerIn(r *http.Request) (heartbeat.CustomerID, error) {
	id, err := heartbeat.ParseCustomerID(r.PathValue("id"))
	if err != nil {
		return 0, httpserver.NewProblem(httpserver.BadRequest, "%.40q is not a customer's id such as CUST_00042", r.PathValue("id"))
	}
	return id, nil
}
