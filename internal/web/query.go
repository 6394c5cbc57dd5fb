package web

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/readmodel"
)

// query reads the parameters of a request and keeps the first thing wrong with them.
type query struct {
	values url.Values
	err    error
}

// newQuery returns the parameters, which checkedQuery has found readable and known.
func newQuery(r *http.Request) *query { return &query{values: r.URL.Query()} }

// checkedQuery refuses a query of which a handler would ignore any part: a misspelt filter must not pass for no filter.
func (s *Server) checkedQuery(route route) httpserver.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := checkQuery(r.URL.RawQuery, route.query); err != nil {
			return err
		}
		return route.handle(w, r)
	}
}

func checkQuery(raw string, known []string) error {
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		escapedName, escaped, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(escapedName)
		if err != nil {
			return badQuery("the parameter name %.40q is not percent-encoded correctly", escapedName)
		}
		value, err := url.QueryUnescape(escaped)
		switch {
		case !slices.Contains(known, name) && len(known) == 0:
			return badQuery("there is no parameter %.40q here: this operation has none", name)
		case !slices.Contains(known, name):
			return badQuery("there is no parameter %.40q here; there are: %s", name, strings.Join(known, ", "))
		case err != nil:
			return badQuery("%s is not percent-encoded correctly: %.40q", name, escaped)
		case strings.Contains(pair, ";"):
			return badQuery("%s has a semicolon: separate parameters with &, or write %%3B", name)
		case value == "":
			return badQuery("%s is empty: leave it out, or give it a value", name)
		case seen[name]:
			return badQuery("%s is given more than once", name)
		}
		seen[name] = true
	}
	return nil
}

func badQuery(format string, args ...any) error {
	return httpserver.NewProblem(httpserver.BadRequest, format, args...)
}

func (q *query) fail(format string, args ...any) {
	if q.err == nil {
		q.err = badQuery(format, args...)
	}
}

func (q *query) limit(fallback, most int) int {
	text := q.values.Get("limit")
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		q.fail("limit is %q: want a number from 1 to %d", text, most)
		return fallback
	}
	return n
}

func (q *query) oneOf(name string, allowed ...string) string {
	text := q.values.Get(name)
	if text != "" && !slices.Contains(allowed, text) {
		q.fail("%s is %q: want one of %s", name, text, strings.Join(allowed, ", "))
		return ""
	}
	return text
}

func (q *query) customer(name string) string {
	text := q.values.Get(name)
	if text == "" {
		return ""
	}
	id, err := heartbeat.ParseCustomerID(text)
	if err != nil {
		q.fail("%s is not a customer's id such as CUST_00042", name)
		return ""
	}
	return id.String()
}

func (q *query) time(name string, fallback time.Time) time.Time {
	text := q.values.Get(name)
	if text == "" {
		return fallback
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		q.fail("%s is not a time in RFC 3339 such as 2026-02-20T10:00:00Z", name)
		return fallback
	}
	at = at.UTC() // an offset can move a time into another year
	if !inCalendar(at) {
		q.fail("%s is outside the years 1 to 9999 in UTC", name)
		return fallback
	}
	return at
}

// inCalendar reports whether both JSON and the database can hold a time in UTC.
func inCalendar(at time.Time) bool { return at.Year() >= 1 && at.Year() <= 9999 }

func (q *query) id(name string) int64 {
	text := q.values.Get(name)
	if text == "" {
		return 0
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		q.fail("%s is not a number above 0", name)
	}
	return id
}

// span reads from and to, the last length of time unless given, at most longest apart.
func (q *query) span(length, longest time.Duration) (from, to time.Time) {
	to = q.time("to", time.Now().UTC().Add(10*time.Minute)) // events may be that far ahead
	end := to
	if now := time.Now().UTC(); end.After(now) {
		end = now
	}
	from = q.time("from", end.Add(-length))
	switch {
	case !from.Before(to):
		q.fail("from is not before to")
	case to.Sub(from) > longest+time.Hour:
		q.fail("from and to are more than %s apart", longest)
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

func (q *query) cursor(name string) pageCursor {
	text := q.values.Get(name)
	if text == "" {
		return pageCursor{}
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	at, id, found := strings.Cut(string(raw), ".")
	micros, atErr := strconv.ParseInt(at, 36, 64)
	number, idErr := strconv.ParseInt(id, 36, 64)
	last := time.UnixMicro(micros).UTC()
	if err != nil || !found || atErr != nil || idErr != nil || !inCalendar(last) {
		q.fail("%s is not a cursor that an earlier page returned", name)
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
