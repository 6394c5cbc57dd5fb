package alarm

import "time"

// Fold returns the state after one more event. It fails, with code ContradictsState or the code of the operator's mistake,
// when the state does not allow the event.
func Fold(a Alarm, e Event) (Alarm, error) {
	if err := a.allows(&e); err != nil {
		return a, err
	}
	a.Version++
	switch e.Kind {
	case Raised:
		a.ID, a.Subject, a.Condition, a.RaisedAt = e.Alarm, e.Subject, e.Condition, e.At
		a.begin(&e)
	case Recurred, Reopened:
		a.Recurrences++
		a.begin(&e)
	case Worsened:
		a.escalate(&e)
		a.unacknowledge()
		a.unsnooze()
		a.Tier = 0
		a.measure(&e)
	case Eased:
		a.CurrentPriority = min(e.Priority, a.Priority)
		a.measure(&e)
	case Cleared:
		a.end(&e)
	case Stale:
		a.measure(&e)
		a.Stale = true
	case Fresh:
		a.measure(&e)
	case AcknowledgementExpired:
		a.AcknowledgedBy, a.AcknowledgedAt, a.AcknowledgedUntil = "", time.Time{}, time.Time{}
		a.Tier = 0
	case SnoozeEnded:
		a.unsnooze()
		a.Tier = 0
	case Escalated:
		a.Tier = e.Tier
	case Acknowledged:
		a.acknowledge(&e)
	case Snoozed:
		a.SnoozedBy, a.SnoozedUntil = e.Actor, e.Until
	case Assigned:
		a.AssignedTo = e.Assignee
	case Closed:
		a.ClosedAt, a.ClosedBy = e.At, e.Actor
	}
	if e.Note != "" {
		a.Note = e.Note
	}
	return a, nil
}

// begin starts an episode, or counts a raise while one is under way.
func (a *Alarm) begin(e *Event) {
	if e.Priority > a.Priority {
		a.unacknowledge()
		a.unsnooze()
	}
	if e.Kind == Reopened { // its end was told, so whoever acknowledged it before does not know of this
		a.unacknowledge()
	}
	a.escalate(e)
	if !a.Active {
		a.ActiveSince, a.OnsetAt, a.EpisodeFirstOffset = e.At, e.Since, e.Offset
	}
	a.Active = true
	a.ClearedAt, a.ClosedAt, a.ClosedBy = time.Time{}, time.Time{}, ""
	a.EpisodeLastOffset = -1
	a.Tier = 0
	a.measure(e)
}

// end ends the episode. An emergency that ended must still be seen: it stays open.
func (a *Alarm) end(e *Event) {
	a.measure(e)
	a.Active, a.ClearedAt, a.EpisodeLastOffset = false, e.At, e.Offset
	if a.Priority < High || !a.SeenAt.IsZero() {
		a.ClosedAt = e.At
	}
}

// acknowledge closes a latched alarm: it has been seen.
func (a *Alarm) acknowledge(e *Event) {
	a.AcknowledgedBy, a.AcknowledgedAt, a.AcknowledgedUntil = e.Actor, e.At, e.Until
	if a.SeenAt.IsZero() {
		a.SeenAt = e.At
	}
	a.Tier = 0
	if !a.Active {
		a.ClosedAt = e.At
	}
}

// escalate sets the current priority, and the alarm's where that is lower.
func (a *Alarm) escalate(e *Event) {
	a.CurrentPriority = e.Priority
	a.Priority = max(a.Priority, e.Priority)
}

func (a *Alarm) unacknowledge() {
	a.AcknowledgedBy, a.AcknowledgedAt, a.AcknowledgedUntil, a.SeenAt = "", time.Time{}, time.Time{}, time.Time{}
}

func (a *Alarm) unsnooze() { a.SnoozedBy, a.SnoozedUntil = "", time.Time{} }

// measure takes over the values and the position of a transition. A transition other than Stale comes from a reading, so
// the signal is not lost.
func (a *Alarm) measure(e *Event) {
	a.Stale = false
	if e.Value != 0 {
		a.Value = e.Value
	}
	a.Peak = a.Condition.extreme(a.Peak, e.Peak)
	if e.Limit != 0 {
		a.Limit = e.Limit
	}
	if e.Detail != "" {
		a.Detail = e.Detail
	}
	a.Position = *e.Position
}
