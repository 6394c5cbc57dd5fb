package alarm

import "fmt"

// Condition is the stable name of what is wrong.
type Condition string

// The conditions.
const (
	RateHigh  Condition = "rate_high"
	RateLow   Condition = "rate_low"
	BadSignal Condition = "bad_signal"
	Silent    Condition = "silent"
	Outage    Condition = "outage"
	Lag       Condition = "lag"
)

// Conditions lists all conditions.
var Conditions = [...]Condition{RateHigh, RateLow, BadSignal, Silent, Outage, Lag}

// ParseCondition reads the name of a condition.
func ParseCondition(text string) (Condition, error) {
	for _, c := range Conditions {
		if string(c) == text {
			return c, nil
		}
	}
	return "", refuse(BadRequest, "there is no condition %.40q: want one of %s", text, listed(Conditions[:]))
}

// OfFleet tells whether the condition is one of a fleet, whose subject is the topic, and not of a customer.
func (c Condition) OfFleet() bool { return c == Outage || c == Lag }

// extreme returns the more extreme of two values, where 0 is no value: the lower one of a rate that is too low.
func (c Condition) extreme(a, b int32) int32 {
	switch {
	case a == 0:
		return b
	case b == 0:
		return a
	case c == RateLow:
		return min(a, b)
	default:
		return max(a, b)
	}
}

// Priority says how soon a person must look.
type Priority uint8

// The priorities, from least to most urgent. The zero value is none.
const (
	Low Priority = iota + 1
	Medium
	High
)

// Priorities lists all priorities, the most urgent first.
var Priorities = [...]Priority{High, Medium, Low}

// String returns the name used in tables, logs and the API.
func (p Priority) String() string {
	switch p {
	case Low:
		return "low"
	case Medium:
		return "medium"
	case High:
		return "high"
	default:
		return ""
	}
}

// ParsePriority reads the name of a priority.
func ParsePriority(text string) (Priority, error) {
	for _, p := range Priorities {
		if p.String() == text {
			return p, nil
		}
	}
	return 0, refuse(BadRequest, "there is no priority %.40q: want one of %s", text, listed(Priorities[:]))
}

// MarshalText returns the name.
func (p Priority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the name.
func (p *Priority) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePriority(string(text))
	return err
}

func listed[T any](all []T) string {
	text := ""
	for i, one := range all {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprint(one)
	}
	return text
}
