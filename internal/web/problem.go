package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"heartbeat/internal/readmodel"
)

// code is the stable name of a problem, for scripts.
type code string

const (
	badRequest     code = "bad_request"
	unauthorized   code = "unauthorized"
	wrongToken     code = "wrong_token"
	forbidden      code = "cross_origin"
	hostNotAllowed code = "host_not_allowed"
	notFound       code = "not_found"
	notAllowed     code = "method_not_allowed"
	tooLarge       code = "too_large"
	tooMany        code = "too_many_requests"
	tooManyViewers code = "too_many_viewers"
	unsupported    code = "unsupported_media_type"
	unavailable    code = "database_unavailable"
	slow           code = "database_slow"
	notOffered     code = "not_offered"
)

func (c code) status() int {
	switch c {
	case badRequest:
		return http.StatusBadRequest
	case unauthorized:
		return http.StatusUnauthorized
	case wrongToken, forbidden:
		return http.StatusForbidden
	case hostNotAllowed:
		return http.StatusMisdirectedRequest
	case notFound:
		return http.StatusNotFound
	case notAllowed:
		return http.StatusMethodNotAllowed
	case tooLarge:
		return http.StatusRequestEntityTooLarge
	case unsupported:
		return http.StatusUnsupportedMediaType
	case tooMany:
		return http.StatusTooManyRequests
	case notOffered:
		return http.StatusNotImplemented
	case slow:
		return http.StatusGatewayTimeout
	default:
		return http.StatusServiceUnavailable
	}
}

// Problem is an error as RFC 9457 tells it to a client.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   code   `json:"code"`
	Detail string `json:"detail"`

	retryAfter time.Duration
}

func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail }

func problem(c code, format string, args ...any) *Problem {
	status := c.status()
	return &Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Code: c, Detail: fmt.Sprintf(format, args...),
	}
}

// problemOf says what an error of a handler means to a client. Whatever is not a Problem comes from the store, whose
// words are for the log.
func problemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem(tooLarge, "the body is larger than %d bytes", maxBody)
	}
	switch {
	case errors.Is(err, readmodel.ErrNotFound):
		return problem(notFound, "there is nothing stored under that id")
	case errors.Is(err, context.DeadlineExceeded):
		p := problem(slow, "the database took too long to answer: ask for a shorter range, or try again")
		p.retryAfter = 5 * time.Second
		return p
	default:
		p := problem(unavailable, "the database did not answer: the console's Pipeline page and the server's log say why")
		p.retryAfter = 2 * time.Second
		return p
	}
}

// tell writes an error of a handler. Only what is not the client's doing goes to the log.
func tell(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // nobody is listening any more
	}
	p := problemOf(err)
	if _, ours := errors.AsType[*Problem](err); !ours && p.Status >= http.StatusInternalServerError {
		log.Warn("request not answered", "path", r.URL.Path, "code", p.Code, "cause", err)
	}
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	header.Del("Content-Disposition")
	if p.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int(p.retryAfter.Seconds())))
	}
	w.WriteHeader(p.Status)
	_ = json.MarshalWrite(w, p)
}

// answer writes a body as JSON.
func answer(w http.ResponseWriter, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	_, _ = w.Write(append(text, '\n')) // a client that left is no failure of ours
	return nil
}
