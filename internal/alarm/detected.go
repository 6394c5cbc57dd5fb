package alarm

import (
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
)

// Detected returns a transition of a customer's readings.
func Detected(customer heartbeat.CustomerID, t *detect.Transition) Transition {
	transition := Transition{
		Alarm:     ID(t.Alarm),
		Subject:   customer.String(),
		Condition: Condition(t.Condition.String()),
		Kind:      kindOf(t.Kind),
		Priority:  Priority(t.Priority),
		At:        t.At.UTC(),
		Since:     t.Since.UTC(),
		Measure:   Measure{Value: int32(t.Value), Peak: int32(t.Peak), Limit: int32(t.Limit)},
		Offset:    t.Offset,
	}
	if t.Stuck {
		transition.Detail = "stuck"
	}
	return transition
}

func kindOf(kind detect.Kind) Kind {
	switch kind {
	case detect.Raise:
		return Raised
	case detect.Reopen:
		return Reopened
	case detect.Worsen:
		return Worsened
	default:
		return Cleared
	}
}
