package alarm

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// Filter is which part of their lives a list shows.
type Filter string

// The filters.
const (
	FilterOpen    Filter = "open" // active or latched
	FilterActive  Filter = "active"
	FilterLatched Filter = "latched"
	FilterClosed  Filter = "closed"
	FilterAll     Filter = "all"
)

// Filters lists all filters.
var Filters = [...]Filter{FilterOpen, FilterActive, FilterLatched, FilterClosed, FilterAll}

// WorstFirst tells the order of a list: open alarms by priority, then unacknowledged, then age; others by the time of their
// raise, the newest first.
func (f Filter) WorstFirst() bool { return f == FilterOpen || f == FilterActive || f == FilterLatched }

// Query is what a list shows. A zero field but Filter and Limit filters nothing.
type Query struct {
	Filter         Filter
	Unacknowledged bool
	Condition      Condition
	Priority       Priority
	Subject        string
	Cohort         string
	Person         string    // who acted on it or has it assigned
	From, To       time.Time // of the raise
	After          *Cursor   // the last alarm of the page before
	Limit          int
}

// Cursor is where a page ended.
type Cursor struct {
	Priority     Priority
	Acknowledged bool
	RaisedAt     time.Time
	ID           ID
}

// CursorOf returns the cursor of a page that ends with an alarm.
func CursorOf(a *Alarm, now time.Time) Cursor {
	return Cursor{a.Priority, a.Acknowledged(now), a.RaisedAt, a.ID}
}

// String returns the cursor as a client gets it.
func (c Cursor) String() string {
	text := strings.Join([]string{
		c.Priority.String(), strconv.FormatBool(c.Acknowledged), strconv.FormatInt(c.RaisedAt.UnixMicro(), 36), c.ID.String(),
	}, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// ParseCursor reads what String returned.
func ParseCursor(text string) (Cursor, error) {
	refused := refuse(BadRequest, "the cursor is not one that an earlier page returned")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Cursor{}, refused
	}
	parts := strings.Split(string(raw), ".")
	if len(parts) != 4 {
		return Cursor{}, refused
	}
	priority, priorityErr := ParsePriority(parts[0])
	acknowledged, acknowledgedErr := strconv.ParseBool(parts[1])
	micros, microsErr := strconv.ParseInt(parts[2], 36, 64)
	id, idErr := ParseID(parts[3])
	raised := time.UnixMicro(micros).UTC()
	if priorityErr != nil || acknowledgedErr != nil || microsErr != nil || idErr != nil || raised.Year() < 1 || raised.Year() > 9999 {
		return Cursor{}, refused
	}
	return Cursor{priority, acknowledged, raised, id}, nil
}

// Count is how many alarms of a condition and priority are open.
type Count struct {
	Condition            Condition `json:"condition"`
	Priority             Priority  `json:"priority"`
	Open                 int64     `json:"open"`
	Unacknowledged       int64     `json:"unacknowledged"`
	OldestUnacknowledged time.Time `json:"oldest_unacknowledged,omitzero"` // its raise
}
