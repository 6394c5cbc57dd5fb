package alarm

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
)

// Limit is one entry of the history of limits as people see it. What it means to a reading is detect's to say.
type Limit struct {
	ID            int64     `json:"limit_id"`
	Scope         string    `json:"scope"` // fleet, cohort or person
	Cohort        string    `json:"cohort,omitzero"`
	Customer      string    `json:"customer_id,omitzero"`
	Low           int32     `json:"low,omitzero"` // 0: this limit does not set it
	High          int32     `json:"high,omitzero"`
	Hours         string    `json:"hours,omitzero"`      // such as 22:00-06:00; empty: all day
	UTCOffset     int       `json:"utc_offset,omitzero"` // of these hours, in minutes eastwards
	Author        string    `json:"author"`
	Reason        string    `json:"reason"`
	MadeAt        time.Time `json:"made_at,omitzero"`
	EffectiveFrom time.Time `json:"effective_from,omitzero"`
	EndsAt        time.Time `json:"ends_at,omitzero"`
	EndedBy       string    `json:"ended_by,omitzero"` // who ended it by hand
	EndedAt       time.Time `json:"ended_at,omitzero"`
	EndReason     string    `json:"end_reason,omitzero"`
}

// Detect returns the limit as the detector reads it. It fails with an *Error for the first field that is wrong.
func (l *Limit) Detect() (detect.Limit, error) {
	limit := detect.Limit{
		ID: l.ID, Cohort: l.Cohort, Low: heartbeat.BPM(l.Low), High: heartbeat.BPM(l.High),
		From: detect.TimeOf(l.EffectiveFrom), Author: l.Author, Reason: l.Reason,
	}
	switch l.Scope {
	case detect.Fleet.String():
		limit.Scope = detect.Fleet
	case detect.Cohort.String():
		limit.Scope = detect.Cohort
	case detect.Person.String():
		limit.Scope = detect.Person
	default:
		return limit, refuse(BadRequest, "the scope is %.40q: want fleet, cohort or person", l.Scope)
	}
	if l.Customer != "" {
		id, err := heartbeat.ParseCustomerID(l.Customer)
		if err != nil {
			return limit, refuse(BadRequest, "%.40q is not a customer's id such as CUST_00042", l.Customer)
		}
		limit.Customer = id
	}
	if !l.EndsAt.IsZero() {
		limit.Until = detect.TimeOf(l.EndsAt)
	}
	var err error
	if limit.Hours, err = ParseHours(l.Hours, l.UTCOffset); err != nil {
		return limit, err
	}
	if !l.EndsAt.IsZero() && !l.EndsAt.After(l.EffectiveFrom) {
		return limit, refuse(BadRequest, "the limit would end at %s, before it takes effect at %s",
			l.EndsAt.UTC().Format(time.RFC3339), l.EffectiveFrom.UTC().Format(time.RFC3339))
	}
	return limit, limitError(limit.Validate())
}

// Check refuses a limit that a person must not set.
func (l *Limit) Check() error {
	if err := checkActor(l.Author); err != nil {
		return err
	}
	if err := checkReason(l.Reason); err != nil {
		return err
	}
	if err := cmp.Or(checkName("the cohort's name", l.Cohort), checkTime("effective_from", l.EffectiveFrom), checkTime("ends_at", l.EndsAt)); err != nil {
		return err
	}
	checked := *l
	if checked.EffectiveFrom.IsZero() {
		checked.EffectiveFrom = time.Unix(1, 0) // as soon as possible, which the store decides
	}
	_, err := checked.Detect()
	return err
}

// CheckEnd refuses the end of a limit by hand without a name and a reason.
func CheckEnd(author, reason string) error {
	if err := checkActor(author); err != nil {
		return err
	}
	return checkReason(reason)
}

func checkReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return refuse(ReasonRequired, "say why: every change of a limit carries a reason")
	}
	return checkText("the reason", reason)
}

// limitError gives an error of the detector the code that clients know.
func limitError(err error) error {
	wrong, ok := errors.AsType[*detect.LimitError](err)
	if !ok {
		return err
	}
	switch {
	case wrong.Field == "low" && wrong.Value == heartbeat.BPM(0):
		return refuse(BadRequest, "a limit sets low, high or both")
	case wrong.Field == "low" || wrong.Field == "high":
		return refuse(LimitOutOfRange, "the %s limit is %v: want %s bpm", wrong.Field, wrong.Value, wrong.Want)
	default:
		return refuse(BadRequest, "the limit's %s is %v: want %s", wrong.Field, wrong.Value, wrong.Want)
	}
}

const hoursForm = "15:04"

// ParseHours reads hours such as 22:00-06:00. Empty is the whole day.
func ParseHours(text string, utcOffset int) (detect.Hours, error) {
	hours := detect.Hours{Offset: utcOffset}
	if text == "" {
		return hours, nil
	}
	from, to, found := strings.Cut(text, "-")
	start, startErr := time.Parse(hoursForm, from)
	end, endErr := time.Parse(hoursForm, to)
	if !found || startErr != nil || endErr != nil || from == to {
		return hours, refuse(BadRequest, "the hours are %.40q: want such as 22:00-06:00", text)
	}
	hours.From, hours.To = start.Hour()*60+start.Minute(), end.Hour()*60+end.Minute()
	return hours, nil
}

// FormatHours is the reverse of ParseHours.
func FormatHours(from, to int) string {
	if from == to {
		return ""
	}
	return fmt.Sprintf("%02d:%02d-%02d:%02d", from/60, from%60, to/60, to%60)
}

// Member says to which cohort a customer belongs from a time on; the empty cohort is none.
type Member struct {
	Customer      string    `json:"customer_id"`
	Cohort        string    `json:"cohort"`
	EffectiveFrom time.Time `json:"effective_from"`
	Author        string    `json:"author"`
}

// Check refuses a membership that a person must not set.
func (m *Member) Check() error {
	if err := checkActor(m.Author); err != nil {
		return err
	}
	return checkName("the cohort's name", m.Cohort)
}

// LimitQuery is which limits a list shows. A zero field but Limit filters nothing.
type LimitQuery struct {
	Scope    string
	Cohort   string
	Customer string // those that concern this customer: its own, of its current cohort, and of the fleet
	Ended    bool   // also those that ended
	Before   int64  // the last limit of the page before
	Limit    int
}
