package ingest_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
)

// reference is what alarms must be, written as plainly as possible: every reading in the order of its partition, one at a time, with
// states that are never encoded, and every alarm in a list. It has the rules of package detect, which that package's tests hold
// against a plain form of their own. The lifecycle and the limits here share no code with the product.
type reference struct {
	log     string
	states  map[heartbeat.CustomerID]*detect.State
	limits  []alarm.Limit // in the order in which they were made
	cohorts map[string]string
	alarms  []*held
}

// held is an alarm with its history as text.
type held struct {
	alarm.Alarm
	events []happened
}

// happened is an event as far as later actions depend on it.
type happened struct {
	kind  alarm.Kind
	actor string
	at    int64 // the offset of its reading, -1 for none
}

func (h happened) String() string { return fmt.Sprintf("%s by %q at %d", h.kind, h.actor, h.at) }

// clone returns a copy whose alarms can be moved on by themselves. The states are shared.
func (r *reference) clone() *reference {
	c := *r
	c.alarms = nil
	for _, h := range r.alarms {
		c.alarms = append(c.alarms, &held{h.Alarm, slices.Clone(h.events)})
	}
	return &c
}

// limitsAt takes the defaults, then the fleet's limits, then the cohort's, then the person's; of each the later one wins.
func (r *reference) limitsAt(customer string, at time.Time) detect.Limits {
	limits := detect.DefaultLimits()
	for _, scope := range []string{"fleet", "cohort", "person"} {
		var own []alarm.Limit
		for _, l := range r.limits {
			concerns := scope == "fleet" || scope == "person" && l.Customer == customer || scope == "cohort" && l.Cohort == r.cohorts[customer]
			if l.Scope == scope && concerns && !at.Before(l.EffectiveFrom) && (l.EndsAt.IsZero() || at.Before(l.EndsAt)) {
				own = append(own, l)
			}
		}
		slices.SortStableFunc(own, func(a, b alarm.Limit) int { return a.EffectiveFrom.Compare(b.EffectiveFrom) })
		for _, l := range own {
			limits.Low = cmp.Or(heartbeat.BPM(l.Low), limits.Low)
			limits.High = cmp.Or(heartbeat.BPM(l.High), limits.High)
		}
	}
	return limits
}

// evaluate returns the transitions of records of a partition that are no dead letters.
func (r *reference) evaluate(partition int32, records []heartbeat.Record, refused map[int64]bool) (all []alarm.Transition, err error) {
	detector, err := detect.New(detect.DefaultSettings(), detect.Source{Log: r.log, Partition: partition})
	if err != nil {
		return nil, err
	}
	var decoder heartbeat.Decoder
	for _, record := range records {
		reading, rejection := decoder.Decode(record)
		if rejection != nil || refused[record.Offset] {
			continue
		}
		state := r.states[reading.Customer]
		if state == nil {
			state = new(detect.State)
			r.states[reading.Customer] = state
		}
		judged := detect.ReadingOf(&reading, record.Timestamp, record.Offset)
		limits := r.limitsAt(reading.Customer.String(), judged.TimeUsed().UTC())
		for _, t := range detector.Step(state, judged, limits, nil) {
			all = append(all, alarm.Detected(reading.Customer, &t))
		}
	}
	return all, nil
}

// apply moves alarms by transitions.
func (r *reference) apply(partition int32, transitions []alarm.Transition) {
	for _, t := range transitions {
		opens := t.Kind == alarm.Raised || t.Kind == alarm.Reopened
		switch h := r.find(&t); {
		case h == nil && opens:
			h = &held{Alarm: alarm.Alarm{ID: t.Alarm, Subject: t.Subject, Condition: t.Condition, RaisedAt: t.At, Recurrences: -1}}
			r.alarms = append(r.alarms, h)
			h.raise(&t)
			h.happen(r.log, partition, alarm.Raised, &t)
		case h == nil:
		case opens:
			kind := alarm.Recurred
			if !h.ClosedAt.IsZero() {
				kind = alarm.Reopened
			}
			h.raise(&t)
			h.happen(r.log, partition, kind, &t)
		case !h.Active:
		case t.Kind == alarm.Worsened:
			h.Priority, h.CurrentPriority = max(h.Priority, t.Priority), t.Priority
			h.forgetAcknowledgement()
			h.forgetSnooze()
			h.happen(r.log, partition, t.Kind, &t)
		case t.Kind == alarm.Cleared:
			h.Active, h.ClearedAt, h.EpisodeLastOffset = false, t.At, t.Offset
			if h.Priority != alarm.High || !h.SeenAt.IsZero() {
				h.ClosedAt = t.At
			}
			h.happen(r.log, partition, t.Kind, &t)
		}
	}
}

// find returns the open alarm of a transition; for one that reopens and finds none, the alarm that was cleared last.
func (r *reference) find(t *alarm.Transition) (found *held) {
	for _, h := range r.alarms {
		if h.Subject != t.Subject || h.Condition != t.Condition {
			continue
		}
		if h.ClosedAt.IsZero() {
			return h
		}
		if t.Kind == alarm.Reopened && (found == nil || h.ClearedAt.After(found.ClearedAt)) {
			found = h
		}
	}
	return found
}

func (h *held) raise(t *alarm.Transition) {
	worse := t.Priority > h.Priority
	if worse || !h.ClosedAt.IsZero() {
		h.forgetAcknowledgement()
	}
	if worse {
		h.forgetSnooze()
	}
	h.Priority, h.CurrentPriority = max(h.Priority, t.Priority), t.Priority
	if !h.Active {
		h.ActiveSince, h.OnsetAt, h.EpisodeFirstOffset = t.At, t.Since, t.Offset
	}
	h.Active, h.EpisodeLastOffset = true, -1
	h.ClearedAt, h.ClosedAt, h.ClosedBy = time.Time{}, time.Time{}, ""
	h.Recurrences++
}

// happen takes over what each transition carries.
func (h *held) happen(log string, partition int32, kind alarm.Kind, t *alarm.Transition) {
	h.Value, h.Limit, h.Detail = cmp.Or(t.Value, h.Value), cmp.Or(t.Limit, h.Limit), cmp.Or(t.Detail, h.Detail)
	switch {
	case h.Peak == 0, t.Peak != 0 && t.Condition == alarm.RateLow && t.Peak < h.Peak, t.Condition != alarm.RateLow && t.Peak > h.Peak:
		h.Peak = t.Peak
	}
	h.Log, h.Partition, h.Offset = log, partition, t.Offset
	h.record(kind, "", t.Offset)
}

func (h *held) record(kind alarm.Kind, actor string, at int64) {
	h.Version++
	h.events = append(h.events, happened{kind, actor, at})
}

func (h *held) acknowledged(now time.Time) bool {
	return h.AcknowledgedBy != "" && (h.AcknowledgedUntil.IsZero() || now.Before(h.AcknowledgedUntil))
}

func (h *held) forgetAcknowledgement() {
	h.AcknowledgedBy, h.AcknowledgedAt, h.AcknowledgedUntil, h.SeenAt = "", time.Time{}, time.Time{}, time.Time{}
}

func (h *held) forgetSnooze() { h.SnoozedBy, h.SnoozedUntil = "", time.Time{} }

// act does what an operator wants, or returns the code of why not.
func (r *reference) act(id alarm.ID, a alarm.Action, now time.Time) alarm.Code {
	at := slices.IndexFunc(r.alarms, func(h *held) bool { return h.ID == id })
	if at < 0 {
		return alarm.NotFound
	}
	h := r.alarms[at]
	open := h.ClosedAt.IsZero()
	switch {
	case a.Expected != 0 && a.Kind != alarm.Commented && h.surprises(&a):
		return alarm.VersionConflict
	case a.Kind == alarm.Acknowledged && h.acknowledged(now) && (open || h.AcknowledgedBy == a.Actor),
		a.Kind == alarm.Assigned && open && h.AssignedTo == a.Assignee,
		a.Kind == alarm.Closed && !open && h.ClosedBy == a.Actor:
		return "" // as wanted already
	case !open && a.Kind != alarm.Commented:
		return alarm.AlarmClosed
	case a.Kind == alarm.Closed && h.Active:
		return alarm.AlarmActive
	case a.Kind == alarm.Snoozed && strings.TrimSpace(a.Note) == "":
		return alarm.ReasonRequired
	case a.Kind == alarm.Snoozed && a.For <= 0, a.Kind == alarm.Commented && strings.TrimSpace(a.Note) == "":
		return alarm.BadRequest
	case a.Kind == alarm.Snoozed && a.For > map[alarm.Priority]time.Duration{
		alarm.High: 15 * time.Minute, alarm.Medium: 4 * time.Hour, alarm.Low: 24 * time.Hour}[h.Priority]:
		return alarm.SnoozeTooLong
	}
	switch a.Kind {
	case alarm.Acknowledged:
		h.AcknowledgedBy, h.AcknowledgedAt = a.Actor, now
		h.AcknowledgedUntil = time.Time{}
		if length := map[alarm.Priority]time.Duration{alarm.High: 15 * time.Minute, alarm.Medium: time.Hour}[h.Priority]; length > 0 {
			h.AcknowledgedUntil = now.Add(length)
		}
		if h.SeenAt.IsZero() {
			h.SeenAt = now
		}
		if !h.Active {
			h.ClosedAt = now
		}
	case alarm.Snoozed:
		h.SnoozedBy, h.SnoozedUntil = a.Actor, now.Add(a.For)
	case alarm.Assigned:
		h.AssignedTo = a.Assignee
	case alarm.Closed:
		h.ClosedAt, h.ClosedBy = now, a.Actor
	}
	h.Note = cmp.Or(a.Note, h.Note)
	h.record(a.Kind, a.Actor, -1)
	return ""
}

// surprises reports whether another person acted, or the condition became worse or began again, since the version that was seen.
func (h *held) surprises(a *alarm.Action) bool {
	if a.Expected > h.Version {
		return true
	}
	return slices.ContainsFunc(h.events[a.Expected:], func(e happened) bool {
		switch e.kind {
		case alarm.Worsened, alarm.Recurred, alarm.Reopened:
			return true
		case alarm.Commented:
			return false
		default:
			return e.actor != "" && e.actor != a.Actor
		}
	})
}

// expire ends what is over.
func (r *reference) expire(now time.Time) (count int) {
	for _, h := range r.alarms {
		if h.Active && !h.AcknowledgedUntil.IsZero() && !now.Before(h.AcknowledgedUntil) {
			h.AcknowledgedBy, h.AcknowledgedAt, h.AcknowledgedUntil = "", time.Time{}, time.Time{}
			h.record(alarm.AcknowledgementExpired, "", -1)
			count++
		}
		if h.ClosedAt.IsZero() && !h.SnoozedUntil.IsZero() && !now.Before(h.SnoozedUntil) {
			h.forgetSnooze()
			h.record(alarm.SnoozeEnded, "", -1)
			count++
		}
	}
	return count
}
