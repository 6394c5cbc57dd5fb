package alarm

import (
	"slices"
	"strings"
	"time"
)

// phases names, for each kind of event, the phases of an alarm that allow it.
func (k Kind) phases() []Phase {
	switch k {
	case Raised:
		return []Phase{None}
	case Reopened:
		return []Phase{Ended}
	case Worsened, Eased, Cleared, Stale, Fresh, AcknowledgementExpired:
		return []Phase{Active}
	case Recurred, SnoozeEnded, Escalated, Acknowledged, Snoozed, Assigned:
		return []Phase{Active, Latched}
	case Closed:
		return []Phase{Latched}
	case Commented:
		return []Phase{Active, Latched, Ended}
	default:
		return nil
	}
}

// allows refuses an event that the state does not allow. Whatever an operator can do wrong has a code of its own.
func (a *Alarm) allows(e *Event) error {
	if phase := a.Phase(); !slices.Contains(e.Kind.phases(), phase) {
		switch {
		case e.Kind.ByOperator() && phase == Ended:
			return refuse(AlarmClosed, "alarm %s was closed at %s%s: nothing is left to do but a comment", a.ID, stamp(a.ClosedAt), by(a.ClosedBy))
		case e.Kind == Closed && phase == Active:
			return refuse(AlarmActive, "alarm %s is active: %s of %s has not ended, and only an alarm that is not active can be closed by hand; acknowledge or snooze it", a.ID, a.Condition, a.Subject)
		}
		return refuse(ContradictsState, "%s is not possible while the alarm of %s, %s, is %s", e.Kind, a.Subject, a.Condition, phase)
	}
	if e.Version != a.Version+1 {
		return refuse(ContradictsState, "event %d cannot follow version %d", e.Version, a.Version)
	}
	if e.Position == nil && !e.Kind.ByOperator() && !e.Kind.byTime() {
		return refuse(ContradictsState, "%s needs the position of its reading", e.Kind)
	}
	switch {
	case e.Kind.ByOperator():
		return a.allowsAction(e)
	case e.Kind == AcknowledgementExpired && (a.AcknowledgedUntil.IsZero() || e.At.Before(a.AcknowledgedUntil)):
		return refuse(ContradictsState, "no acknowledgement has expired")
	case e.Kind == SnoozeEnded && (a.SnoozedUntil.IsZero() || e.At.Before(a.SnoozedUntil)):
		return refuse(ContradictsState, "no snooze has ended")
	case e.Kind == Escalated && (a.Acknowledged(e.At) || a.Snoozed(e.At)):
		return refuse(ContradictsState, "an alarm that is acknowledged or snoozed does not escalate")
	}
	return nil
}

func (k Kind) byTime() bool {
	return k == AcknowledgementExpired || k == SnoozeEnded || k == Escalated
}

// allowsAction checks what an operator gives.
func (a *Alarm) allowsAction(e *Event) error {
	if err := checkActor(e.Actor); err != nil {
		return err
	}
	if err := checkText("the text", e.Note); err != nil {
		return err
	}
	switch e.Kind {
	case Snoozed:
		return a.allowsSnooze(e)
	case Commented:
		if strings.TrimSpace(e.Note) == "" {
			return refuse(BadRequest, "the comment is empty")
		}
	case Assigned:
		return checkName("the name of whom it is assigned to", e.Assignee)
	}
	return nil
}

func (a *Alarm) allowsSnooze(e *Event) error {
	if strings.TrimSpace(e.Note) == "" {
		return refuse(ReasonRequired, "a snooze needs a reason")
	}
	length, most := e.Until.Sub(e.At), a.Priority.MaxSnooze()
	switch {
	case length <= 0:
		return refuse(BadRequest, "a snooze must last longer than nothing")
	case length > most:
		return refuse(SnoozeTooLong, "an alarm of priority %s may be snoozed for %s at most, not for %s", a.Priority, short(most), short(length))
	}
	return nil
}

func checkActor(actor string) error {
	if strings.TrimSpace(actor) == "" {
		return refuse(ActorRequired, "say who acts: every action carries the name of a person")
	}
	return checkName("the name of who acts", actor)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func by(name string) string {
	if name == "" {
		return ""
	}
	return " by " + name
}

// short writes a duration without zero parts: 4h, not 4h0m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
