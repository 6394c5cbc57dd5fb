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

// newQuery refuses parameters that the operation does not know: a misspelt filter must not pass for no filter.
func newQuery(r *http.Request, known ...string) *query {
	q := &query{values: r.URL.Query()}
	for name := range q.values {
		if !slices.Contains(known, name) {
			q.fail("there is no parameter %q here; there are: %s", name, strings.Join(known, ", "))
		}
	}
	return q
}

func (q *query) fail(format string, args ...any) {
	if q.err == nil {
		q.err = httpserver.NewProblem(httpserver.BadRequest, format, args...)
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
	if err != nil || at.Year() < 1 || at.Year() > 9999 {
		q.fail("%s is not a time in RFC 3339 such as 2026-02-20T10:00:00Z", name)
		return fallback
	}
	return at.UTC()
}

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
	if err != nil || !found || atErr != nil || idErr != nil {
		q.fail("%s is not a cursor that an earlier page returned", name)
		return pageCursor{}
	}
	return pageCursor{time.UnixMicro(micros).UTC(), number}
}

// customerIn reads the customer of a path.
func customerIn(r *http.Request) (heartbeat.CustomerID, error) {
	id, err := heartbeat.ParseCustomerID(r.PathValue("id"))
	if err != nil {
		return 0, httpserver.NewProblem(httpserver.BadRequest, "%.40q is not a customer's id such as CUST_00042", r.PathValue("id"))
	}
	return id, nil
}
