package alarm

import "fmt"

// Code is the stable name of why something was refused, for scripts.
type Code string

// The codes.
const (
	BadRequest       Code = "bad_request"
	NotFound         Code = "alarm_not_found"
	AlarmClosed      Code = "alarm_closed"
	AlarmActive      Code = "alarm_active"
	VersionConflict  Code = "version_conflict"
	ReasonRequired   Code = "reason_required"
	SnoozeTooLong    Code = "snooze_too_long"
	TextTooLong      Code = "text_too_long"
	LimitNotFound    Code = "limit_not_found"
	LimitOutOfRange  Code = "limit_out_of_range"
	LimitOverlap     Code = "limit_overlap"
	LimitEnded       Code = "limit_ended"
	ActorRequired    Code = "actor_required"
	NotOffered       Code = "not_offered"       // the database role may only read
	ContradictsState Code = "contradicts_state" // an event that the alarm's state does not allow
)

// Error says why something was refused, in a sentence for a person.
type Error struct {
	Code   Code
	Detail string
}

func (e *Error) Error() string { return e.Detail }

func refuse(code Code, format string, args ...any) error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}
