package alarm

import (
	"slices"
	"time"
)

// Action is what an operator wants to do to an alarm.
type Action struct {
	Kind     Kind // Acknowledged, Snoozed, Assigned, Commented or Closed
	Actor    string
	Note     string
	For      time.Duration // of Snoozed
	Assignee string        // of Assigned
	// Expected is the version that the operator saw, 0 for none. The action is refused when another person acted since, or
	// when the condition became worse or began again.
	Expected int64
}

// Act returns the state after an action and its event. Since holds the events after action.Expected. Changed is false
// when the alarm is already as the action wants it, so an action may be repeated after an unknown outcome.
func (a Alarm) Act(action Action, since []Event, id ID, now time.Time) (after Alarm, event Event, changed bool, err error) {
	if err := checkActor(action.Actor); err != nil {
		return a, Event{}, false, err
	}
	if a.Version == 0 {
		return a, Event{}, false, refuse(NotFound, "there is no such alarm")
	}
	if err := a.conflict(action, since); err != nil {
		return a, Event{}, false, err
	}
	if a.already(action, now) {
		return a, Event{}, false, nil
	}
	event = Event{
		ID: id, Alarm: a.ID, Version: a.Version + 1, Kind: action.Kind, At: now, Actor: action.Actor,
		Note: action.Note, Assignee: action.Assignee,
	}
	switch action.Kind {
	case Acknowledged:
		if length := a.Priority.AcknowledgedFor(); length > 0 {
			event.Until = now.Add(length)
		}
	case Snoozed:
		event.Until = now.Add(action.For)
	}
	after, err = Fold(a, event)
	return after, event, err == nil, err
}

// already tells whether an action would change nothing.
func (a *Alarm) already(action Action, now time.Time) bool {
	switch action.Kind {
	case Acknowledged:
		return a.Acknowledged(now) && (a.Open() || a.AcknowledgedBy == action.Actor)
	case Assigned:
		return a.Open() && a.AssignedTo == action.Assignee
	case Closed:
		return a.Phase() == Ended && a.ClosedBy == action.Actor
	default:
		return false
	}
}

// conflict refuses an action whose operator did not see what another did, or that the condition became worse.
func (a *Alarm) conflict(action Action, since []Event) error {
	if action.Expected == 0 || action.Kind == Commented {
		return nil
	}
	if action.Expected > a.Version {
		return refuse(VersionConflict, "alarm %s is at version %d: version %d does not exist yet", a.ID, a.Version, action.Expected)
	}
	first := slices.IndexFunc(since, func(e Event) bool {
		if e.Version <= action.Expected {
			return false
		}
		if e.Kind.ByOperator() {
			return e.Kind != Commented && e.Actor != action.Actor
		}
		return e.Kind == Worsened || e.Kind == Recurred || e.Kind == Reopened
	})
	if first < 0 {
		return nil
	}
	e := since[first]
	return refuse(VersionConflict, "alarm %s has changed since version %d: %s%s at %s; look at version %d first",
		a.ID, action.Expected, e.Kind, by(e.Actor), stamp(e.At), a.Version)
}

// Due returns the events that time alone causes by now: an acknowledgement that expired, a snooze that ended.
// It is the reference of the statements that do it.
func (a *Alarm) Due(now time.Time) []Kind {
	var due []Kind
	if a.Active && !a.AcknowledgedUntil.IsZero() && !now.Before(a.AcknowledgedUntil) {
		due = append(due, AcknowledgementExpired)
	}
	if a.Open() && !a.SnoozedUntil.IsZero() && !now.Before(a.SnoozedUntil) {
		due = append(due, SnoozeEnded)
	}
	return due
}
