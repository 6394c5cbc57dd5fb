package httpserver

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// maxName bounds a name in a query, in bytes.
const maxName = 100

// Query reads the parameters of a request and keeps the first thing wrong with them.
type Query struct {
	values url.Values
	Err    error // for the client
}

// NewQuery returns the parameters of a request, which CheckQuery has found readable and known.
func NewQuery(r *http.Request) *Query { return &Query{values: r.URL.Query()} }

// CheckQuery refuses a query of which a handler would ignore any part: a misspelt filter must not pass for no filter.
func CheckQuery(raw string, known []string) error {
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		escapedName, escaped, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(escapedName)
		if err != nil {
			return BadRequestf("the parameter name %.40q is not percent-encoded correctly", escapedName)
		}
		value, err := url.QueryUnescape(escaped)
		switch {
		case !slices.Contains(known, name) && len(known) == 0:
			return BadRequestf("there is no parameter %.40q here: this operation has none", name)
		case !slices.Contains(known, name):
			return BadRequestf("there is no parameter %.40q here; there are: %s", name, strings.Join(known, ", "))
		case err != nil:
			return BadRequestf("%s is not percent-encoded correctly: %.40q", name, escaped)
		case strings.Contains(pair, ";"):
			return BadRequestf("%s has a semicolon: separate parameters with &, or write %%3B", name)
		case value == "":
			return BadRequestf("%s is empty: leave it out, or give it a value", name)
		case seen[name]:
			return BadRequestf("%s is given more than once", name)
		}
		seen[name] = true
	}
	return nil
}

// BadRequestf returns a problem with what the client sent.
func BadRequestf(format string, args ...any) error {
	return NewProblem(BadRequest, format, args...)
}

// Fail keeps what is wrong, unless something else was wrong before.
func (q *Query) Fail(format string, args ...any) {
	if q.Err == nil {
		q.Err = BadRequestf(format, args...)
	}
}

// Limit reads how many to return at most.
func (q *Query) Limit(fallback, most int) int {
	text := q.values.Get("limit")
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		q.Fail("limit is %q: want a number from 1 to %d", text, most)
		return fallback
	}
	return n
}

// OneOf reads a parameter with few values; empty where it is missing.
func (q *Query) OneOf(name string, allowed ...string) string {
	text := q.values.Get(name)
	if text != "" && !slices.Contains(allowed, text) {
		q.Fail("%s is %q: want one of %s", name, text, strings.Join(allowed, ", "))
		return ""
	}
	return text
}

// Text reads a name that people chose.
func (q *Query) Text(name string) string {
	text := q.values.Get(name)
	if len(text) > maxName || strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
		q.Fail("%s is no name: want at most %d bytes of UTF-8 without NUL", name, maxName)
		return ""
	}
	return text
}

// Time reads a time in RFC 3339.
func (q *Query) Time(name string, fallback time.Time) time.Time {
	text := q.values.Get(name)
	if text == "" {
		return fallback
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		q.Fail("%s is not a time in RFC 3339 such as 2026-02-20T10:00:00Z", name)
		return fallback
	}
	at = at.UTC() // an offset can move a time into another year
	if !InCalendar(at) {
		q.Fail("%s is outside the years 1 to 9999 in UTC", name)
		return fallback
	}
	return at
}

// InCalendar reports whether both JSON and the database can hold a time in UTC.
func InCalendar(at time.Time) bool { return at.Year() >= 1 && at.Year() <= 9999 }

// ID reads a number above 0; 0 where it is missing.
func (q *Query) ID(name string) int64 {
	text := q.values.Get(name)
	if text == "" {
		return 0
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		q.Fail("%s is not a number above 0", name)
	}
	return id
}

// ReadBody reads a JSON body and refuses members that nothing would be done with.
func ReadBody(r *http.Request, into any) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return NewProblem(UnsupportedMedia, "send the body as application/json")
	}
	if r.Header.Get("Content-Encoding") != "" {
		return NewProblem(UnsupportedMedia, "send the body without Content-Encoding: none is unpacked here")
	}
	if err := json.UnmarshalRead(r.Body, into, json.RejectUnknownMembers(true)); err != nil {
		return BadRequestf("the body is not as described in openapi.json: %.200v", err)
	}
	return nil
}

// Get returns a parameter as it came, empty where it is missing.
func (q *Query) Get(name string) string { return q.values.Get(name) }
