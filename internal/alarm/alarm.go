package alarm

import "time"

// What a person may write, in bytes.
const (
	MaxText = 2000 // a note or a reason
	MaxName = 100
)

// ReopenWithin is how soon after its end a condition that begins again is the same alarm. Source: ISA-18.2.
const ReopenWithin = 10 * time.Minute

// AcknowledgedFor returns how long an acknowledgement lasts while the alarm is active; 0 is for ever.
func (p Priority) AcknowledgedFor() time.Duration {
	switch p {
	case High:
		return 15 * time.Minute
	case Medium:
		return time.Hour
	default:
		return 0
	}
}

// MaxSnooze returns the longest snooze.
func (p Priority) MaxSnooze() time.Duration {
	switch p {
	case High:
		return 15 * time.Minute
	case Medium:
		return 4 * time.Hour
	default:
		return 24 * time.Hour
	}
}

// Alarm is the state of an alarm after its first Version events. A zero time is none. The zero Alarm has no event yet.
type Alarm struct {
	ID              ID        `json:"alarm_id"`
	Version         int64     `json:"version"`
	Subject         string    `json:"subject"`
	Condition       Condition `json:"condition"`
	Priority        Priority  `json:"priority"`         // the highest of the alarm, by which people are called
	CurrentPriority Priority  `json:"current_priority"` // lower than Priority when the condition eased
	Active          bool      `json:"active"`           // the condition holds
	Stale           bool      `json:"stale"`            // active, and the signal is lost
	RaisedAt        time.Time `json:"raised_at"`
	ActiveSince     time.Time `json:"active_since"` // raise of the latest episode
	OnsetAt         time.Time `json:"onset_at"`     // first reading beyond the limit, of the latest episode
	ClearedAt       time.Time `json:"cleared_at,omitzero"`
	ClosedAt        time.Time `json:"closed_at,omitzero"`
	ClosedBy        string    `json:"closed_by,omitzero"` // who closed it by hand
	Recurrences     int32     `json:"recurrences"`        // raises after the first
	Measure

	AcknowledgedBy    string    `json:"acknowledged_by,omitzero"`
	AcknowledgedAt    time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedUntil time.Time `json:"acknowledged_until,omitzero"`
	SeenAt            time.Time `json:"seen_at,omitzero"` // first acknowledged, also after the acknowledgement expired
	SnoozedBy         string    `json:"snoozed_by,omitzero"`
	SnoozedUntil      time.Time `json:"snoozed_until,omitzero"`
	AssignedTo        string    `json:"assigned_to,omitzero"`
	Note              string    `json:"note,omitzero"` // the latest
	Tier              int16     `json:"tier"`          // of the escalation

	Position                 // of the latest transition
	EpisodeFirstOffset int64 `json:"episode_first_offset"` // of the reading that raised the latest episode
	EpisodeLastOffset  int64 `json:"episode_last_offset"`  // of the reading that ended it; -1 while active
}

// Phase is where an alarm is in its life.
type Phase string

// The phases.
const (
	None    Phase = "none"    // not raised yet
	Active  Phase = "active"  // the condition holds
	Latched Phase = "latched" // the condition ended before a person acknowledged it
	Ended   Phase = "closed"
)

// Phase returns where the alarm is in its life.
func (a *Alarm) Phase() Phase {
	switch {
	case a.Version == 0:
		return None
	case a.Active:
		return Active
	case a.ClosedAt.IsZero():
		return Latched
	default:
		return Ended
	}
}

// Open tells whether the alarm is active or latched.
func (a *Alarm) Open() bool { return a.Version > 0 && a.ClosedAt.IsZero() }

// Acknowledged tells whether an acknowledgement is in force at a time.
func (a *Alarm) Acknowledged(now time.Time) bool {
	return !a.AcknowledgedAt.IsZero() && (a.AcknowledgedUntil.IsZero() || now.Before(a.AcknowledgedUntil))
}

// Snoozed tells whether a snooze is in force at a time.
func (a *Alarm) Snoozed(now time.Time) bool { return now.Before(a.SnoozedUntil) }
