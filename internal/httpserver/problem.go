package httpserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Code is the stable name of a problem, for scripts.
type Code string

// The codes of all roles.
const (
	BadRequest        Code = "bad_request"
	Unauthorized      Code = "unauthorized"
	WrongToken        Code = "wrong_token"
	WrongCredentials  Code = "wrong_credentials"
	SessionExpired    Code = "session_expired"
	UntrustedProxy    Code = "untrusted_proxy"
	UserNotAdmitted   Code = "user_not_admitted"
	RoleRequired      Code = "role_required"
	CrossOrigin       Code = "cross_origin"
	HostNotAllowed    Code = "host_not_allowed"
	NotFound          Code = "not_found"
	MethodNotAllowed  Code = "method_not_allowed"
	TooLarge          Code = "too_large"
	BodyTimeout       Code = "body_timeout"
	TooManyRequests   Code = "too_many_requests"
	TooManyViewers    Code = "too_many_viewers"
	UnsupportedMedia  Code = "unsupported_media_type"
	Unavailable       Code = "database_unavailable"
	Slow              Code = "database_slow"
	NotStored         Code = "readings_not_stored"
	BrokerUnavailable Code = "broker_unavailable"
	NotOffered        Code = "not_offered"

	// Of readings sent by devices.
	NothingValid  Code = "nothing_valid"
	OtherCustomer Code = "other_customer"
	KeyUnderWay   Code = "idempotency_key_under_way"
	KeyReused     Code = "idempotency_key_reused"
	TooBusy       Code = "too_busy"

	// Of alarms and limits.
	AlarmNotFound   Code = "alarm_not_found"
	AlarmClosed     Code = "alarm_closed"
	AlarmActive     Code = "alarm_active"
	VersionConflict Code = "version_conflict"
	ReasonRequired  Code = "reason_required"
	ActorRequired   Code = "actor_required"
	SnoozeTooLong   Code = "snooze_too_long"
	TextTooLong     Code = "text_too_long"
	LimitNotFound   Code = "limit_not_found"
	LimitOutOfRange Code = "limit_out_of_range"
	LimitOverlap    Code = "limit_overlap"
	LimitEnded      Code = "limit_ended"
	TrialRunning    Code = "trial_running"
	TrialNotFound   Code = "trial_not_found"
)

// Codes lists the codes of the console's API.
func Codes() []Code {
	return []Code{
		BadRequest, Unauthorized, WrongToken, WrongCredentials, SessionExpired, UntrustedProxy, UserNotAdmitted, RoleRequired, CrossOrigin, HostNotAllowed, NotFound, MethodNotAllowed, TooLarge, BodyTimeout,
		TooManyRequests, TooManyViewers, UnsupportedMedia, Unavailable, Slow, NotStored, BrokerUnavailable, NotOffered,
		AlarmNotFound, AlarmClosed, AlarmActive, VersionConflict, ReasonRequired, ActorRequired, SnoozeTooLong, TextTooLong,
		LimitNotFound, LimitOutOfRange, LimitOverlap, LimitEnded, TrialRunning, TrialNotFound,
	}
}

func (c Code) status() int {
	switch c {
	case BadRequest, NothingValid, ReasonRequired, ActorRequired, SnoozeTooLong, TextTooLong, LimitOutOfRange:
		return http.StatusBadRequest
	case Unauthorized, SessionExpired, UntrustedProxy:
		return http.StatusUnauthorized
	case WrongToken, WrongCredentials, UserNotAdmitted, RoleRequired, CrossOrigin, OtherCustomer:
		return http.StatusForbidden
	case HostNotAllowed:
		return http.StatusMisdirectedRequest
	case NotFound, AlarmNotFound, LimitNotFound, TrialNotFound:
		return http.StatusNotFound
	case AlarmClosed, AlarmActive, VersionConflict, LimitOverlap, LimitEnded, TrialRunning, KeyUnderWay:
		return http.StatusConflict
	case KeyReused:
		return http.StatusUnprocessableEntity
	case MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case BodyTimeout:
		return http.StatusRequestTimeout
	case UnsupportedMedia:
		return http.StatusUnsupportedMediaType
	case TooManyRequests:
		return http.StatusTooManyRequests
	case NotOffered:
		return http.StatusNotImplemented
	case Slow:
		return http.StatusGatewayTimeout
	default:
		return http.StatusServiceUnavailable
	}
}

// Problem is an error in the form of RFC 9457. A handler returns it like any error.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   Code   `json:"code"`
	Detail string `json:"detail"`

	retryAfter time.Duration
}

func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail }

// NewProblem returns a problem whose detail says what to do.
func NewProblem(code Code, format string, args ...any) *Problem {
	status := code.status()
	return &Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: fmt.Sprintf(format, args...),
	}
}

// RetryAfter says in the response when the client may try again.
func (p *Problem) RetryAfter(wait time.Duration) *Problem {
	p.retryAfter = wait
	return p
}

// problemOf says what a handler's error means to a client. The role's own errors are translated first. Whatever remains
// unknown comes from the database, whose words are for the log.
func problemOf(err error, translate func(error) *Problem) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if translate != nil {
		if p := translate(err); p != nil {
			return p
		}
	}
	if limit, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return NewProblem(TooLarge, "the body is larger than %d bytes", limit.Limit)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return NewProblem(Slow, "the database took too long to answer: ask for a shorter range, or try again").RetryAfter(5 * time.Second)
	}
	return NewProblem(Unavailable, "the database did not answer: the console's Pipeline page and the server's log say why").RetryAfter(2 * time.Second)
}
