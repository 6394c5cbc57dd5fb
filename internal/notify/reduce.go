package notify

import (
	"cmp"
	"slices"

	"github.com/google/uuid"

	"heartbeat/internal/alarm"
)

// reduce makes one entry of each alarm's items, the worst first, and returns the entries that need no message apart. Entries that
// are held are in neither. Of equally bad ones those come first that the destination was not told of, so that no repeat of an old call
// takes the place of a new one where messages are limited.
func reduce(pending []Item) (entries, done []Entry) {
	byAlarm := map[alarm.ID][]Item{}
	for _, item := range pending {
		byAlarm[item.Alarm.ID] = append(byAlarm[item.Alarm.ID], item)
	}
	for _, items := range byAlarm {
		slices.SortFunc(items, func(a, b Item) int { return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.ID, b.ID)) })
		switch entry := entryOf(items); {
		case !entry.needed():
			done = append(done, entry)
		case !entry.held():
			entries = append(entries, entry)
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.Alarm.Priority, a.Alarm.Priority), boolean(b.Type.calls(), a.Type.calls()), boolean(a.told, b.told),
			a.Alarm.Since.Compare(b.Alarm.Since), cmp.Compare(a.Alarm.Subject, b.Alarm.Subject), slices.Compare(a.Alarm.ID[:], b.Alarm.ID[:]))
	})
	return entries, done
}

func boolean(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

func entryOf(items []Item) Entry {
	last := &items[len(items)-1]
	entry := Entry{Alarm: last.Alarm, queuedAt: last.QueuedAt, told: last.Told, incident: last.Incident}
	for i := range items {
		item := &items[i]
		entry.items = append(entry.items, item.ID)
		if item.Message != uuid.Nil && !slices.Contains(entry.messages, item.Message) {
			entry.messages = append(entry.messages, item.Message)
		}
		kind := typeOf(item.Kind)
		if kind == "" || overtaken(kind, &item.Alarm) {
			continue
		}
		entry.add(item, kind)
	}
	return entry
}

func (e *Entry) add(item *Item, kind Type) {
	if kind == Raised || kind == Reopened {
		e.raises++
		if item.Message == uuid.Nil {
			e.fresh++
		}
	}
	if item.UndeliveredTo != "" && !slices.Contains(e.UndeliveredTo, item.UndeliveredTo) {
		e.UndeliveredTo = append(e.UndeliveredTo, item.UndeliveredTo)
	}
	e.Type, e.At, e.Tier = kind, item.At, max(e.Tier, item.Tier)
	if len(e.Events) == 0 || kind != Escalated || e.Events[len(e.Events)-1] != Escalated { // repeats of an escalation say no more than one
		e.Events = append(e.Events, kind)
	}
	if item.QueuedAt.Before(e.queuedAt) {
		e.queuedAt = item.QueuedAt
	}
}

// needed is false when the end of an alarm would be reported where its beginning was not, and when nothing is left to report.
func (e *Entry) needed() bool {
	return e.told && len(e.Events) > 0 || slices.ContainsFunc(e.Events, Type.calls)
}

// held is true for a call that a person has answered and whose answer is not routed yet: both are told in one message. The events of a
// snoozed alarm wait for the end of the snooze, or of the alarm.
func (e *Entry) held() bool { return e.Type.calls() && e.Alarm.Answered() }

// overtaken reports whether a person has acted since, so that the event needs no answer any more. A first raise is always reported,
// because its acknowledgement may be reported too.
func overtaken(kind Type, a *Alarm) bool {
	switch kind {
	case Escalated:
		return a.Answered()
	case Reopened:
		return a.Acknowledged || a.Snoozed
	default:
		return false
	}
}
