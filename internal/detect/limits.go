package detect

import (
	"fmt"

	"heartbeat/internal/heartbeat"
)

// Default limits and the ranges of others (alarms.md §2 and §3; the defaults are the contract's NORMAL).
const (
	defaultLow  heartbeat.BPM = 40
	defaultHigh heartbeat.BPM = 180

	lowLeast, lowMost   heartbeat.BPM = 25, 60
	highLeast, highMost heartbeat.BPM = 100, 230
)

// DefaultLimits returns 40 and 180.
func DefaultLimits() Limits { return Limits{Low: defaultLow, High: defaultHigh} }

// LimitError names the field of a limit that is refused. A caller that knows where the value came from can name that.
type LimitError struct {
	Field string // such as "high"
	Value any
	Want  string // such as "100 to 230"
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("limit %s %v: want %s", e.Field, e.Value, e.Want)
}

func (l Limits) validate() error {
	if err := checkRange("low", l.Low, lowLeast, lowMost); err != nil {
		return err
	}
	return checkRange("high", l.High, highLeast, highMost)
}

// Clamp moves each limit into the range of those that people may set.
func (l Limits) Clamp() Limits {
	return Limits{Low: min(max(l.Low, lowLeast), lowMost), High: min(max(l.High, highLeast), highMost)}
}

func checkRange(field string, value, least, most heartbeat.BPM) error {
	if value < least || value > most {
		return &LimitError{Field: field, Value: value, Want: fmt.Sprintf("%d to %d", least, most)}
	}
	return nil
}

// Scope is whom a limit is for. A narrower one wins.
type Scope uint8

// The scopes, from the widest to the narrowest.
const (
	Fleet Scope = iota + 1
	Cohort
	Person
)

// String returns the name used in tables and the API.
func (s Scope) String() string {
	switch s {
	case Fleet:
		return "fleet"
	case Cohort:
		return "cohort"
	case Person:
		return "person"
	default:
		return "unknown"
	}
}

// Hours are the part of each day in which a limit is in force, in minutes since midnight: from From up to but not
// including To, over midnight where From is later. The zero value is the whole day. Offset is the fixed distance of that
// midnight from UTC's, in minutes eastwards: a zone's rules would make a replay depend on the machine's zone data.
type Hours struct {
	From, To, Offset int
}

const dayMinutes = 24 * 60

func (h Hours) allDay() bool { return h.From == 0 && h.To == 0 }

func (h Hours) contain(at Time) bool {
	now := (int(at/minute%dayMinutes) + h.Offset + dayMinutes) % dayMinutes
	if h.From < h.To {
		return h.From <= now && now < h.To
	}
	return now >= h.From || now < h.To
}

func (h Hours) validate() error {
	switch {
	case h.From < 0 || h.From >= dayMinutes:
		return &LimitError{"hours from", h.From, "0 to 1439 minutes"}
	case h.To < 0 || h.To >= dayMinutes:
		return &LimitError{"hours to", h.To, "0 to 1439 minutes"}
	case h.From == h.To && !h.allDay():
		return &LimitError{"hours to", h.To, "another minute than hours from"}
	case h.Offset < -14*60 || h.Offset > 14*60:
		return &LimitError{"hours offset", h.Offset, "-840 to 840 minutes"}
	}
	return nil
}

// overlaps reports a minute of the day that both contain.
func (h Hours) overlaps(other Hours) bool {
	for at := range Time(dayMinutes) {
		if h.contain(at*minute) && other.contain(at*minute) {
			return true
		}
	}
	return false
}

// Limit is one entry of the append-only history of limits.
type Limit struct {
	ID        int64 // in the order in which they were made
	Scope     Scope
	Cohort    string               // of scope Cohort
	Customer  heartbeat.CustomerID // of scope Person
	Low, High heartbeat.BPM        // 0 leaves that side to earlier entries and wider scopes
	Hours     Hours
	From      Time // in force from here, by the time used of readings
	Until     Time // and before here; 0: no end
	Author    string
	Reason    string
}

// Validate returns a *LimitError for the first field that is wrong in itself. NewLimitHistory checks what several entries
// are together.
func (l *Limit) Validate() error {
	if l.Scope < Fleet || l.Scope > Person {
		return &LimitError{"scope", l.Scope, "fleet, cohort or person"}
	}
	if (l.Scope == Cohort) != (l.Cohort != "") {
		return &LimitError{"cohort", l.Cohort, "a name with scope cohort, and only there"}
	}
	if (l.Scope == Person) != (l.Customer != 0) || l.Customer > heartbeat.MaxCustomerID {
		return &LimitError{"customer", l.Customer, "a customer with scope person, and only there"}
	}
	if l.Low == 0 && l.High == 0 {
		return &LimitError{"low", l.Low, "a low or a high limit"}
	}
	if l.Low != 0 {
		if err := checkRange("low", l.Low, lowLeast, lowMost); err != nil {
			return err
		}
	}
	if l.High != 0 {
		if err := checkRange("high", l.High, highLeast, highMost); err != nil {
			return err
		}
	}
	if err := l.Hours.validate(); err != nil {
		return err
	}
	switch {
	case l.From <= 0:
		return &LimitError{"effective from", int64(l.From), "a time after 1970"}
	case l.Until != 0 && l.Until <= l.From:
		return &LimitError{"end", int64(l.Until), "a time after effective from"}
	case l.Author == "":
		return &LimitError{"author", l.Author, "who sets it"}
	case l.Reason == "":
		return &LimitError{"reason", l.Reason, "why it is set"}
	}
	return nil
}
