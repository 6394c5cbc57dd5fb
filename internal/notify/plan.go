package notify

import (
	"cmp"
	"slices"
	"time"

	"heartbeat/internal/alarm"
)

// The limits of what one destination gets.
const (
	StormWindow = 10 * time.Minute // in which raises are counted
	stormFrom   = 10               // raises
	stormUntil  = 5
	RateWindow  = time.Minute
	maxMessages = 10 // in a RateWindow

	// DigestEvery is the least time between two digests of a storm.
	DigestEvery = time.Minute
	slowDigest  = 5 * time.Minute // while nothing of high priority waits
)

// State is what a destination has been sent.
type State struct {
	Raises   int // in messages of the last StormWindow
	Messages int // made in the last RateWindow
	Storm    bool
	DigestAt time.Time
}

// Entry is what a message reports of one alarm.
type Entry struct {
	Alarm  Alarm
	Type   Type   // of the last event
	Events []Type // all of them, in order: raised and cleared before a message was made are one entry
	Tier   int16
	At     time.Time // of the last event

	items    []int64
	queuedAt time.Time
	raises   int
}

// Message is what a destination is sent at once: one alarm, or several of one condition and cohort, or in a storm everything.
type Message struct {
	Type     Type
	At       time.Time
	Priority alarm.Priority // the highest
	Entries  []Entry        // the worst first
	Storm    bool
	Raises   int
	Items    []int64 // of the queue
}

// Plan turns what waits for a destination into messages. Done are items that need no message any more, such as the
// escalation of what was acknowledged meanwhile. The other items wait.
func Plan(state State, pending []Item, now time.Time) (messages []Message, done []int64, after State) {
	entries, done := reduce(pending)
	raises := state.Raises
	for i := range entries {
		raises += entries[i].raises
	}
	if state.Storm = raises >= stormFrom || state.Storm && raises >= stormUntil; state.Storm {
		messages = digest(&state, entries, now)
	} else {
		messages = groups(&state, entries, now)
	}
	return messages, done, state
}

// wait is how long an event waits for others that belong into its message.
func wait(priority alarm.Priority) time.Duration {
	switch priority {
	case alarm.High:
		return 2 * time.Second
	case alarm.Medium:
		return 10 * time.Second
	default:
		return time.Minute
	}
}

// reduce makes one entry of each alarm's items, the worst first, and returns the items that need no message.
func reduce(pending []Item) (entries []Entry, done []int64) {
	byAlarm := map[alarm.ID][]Item{}
	for _, item := range pending {
		byAlarm[item.Alarm.ID] = append(byAlarm[item.Alarm.ID], item)
	}
	for _, items := range byAlarm {
		slices.SortFunc(items, func(a, b Item) int { return cmp.Compare(a.Version, b.Version) })
		if entry, ok := entryOf(items); ok {
			entries = append(entries, entry)
			continue
		}
		for _, item := range items {
			done = append(done, item.ID)
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.Alarm.Priority, a.Alarm.Priority), boolean(b.Type.calls(), a.Type.calls()),
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

// entryOf is false when the items need no message: what was acknowledged meanwhile does not escalate, and the end of an alarm is not
// reported where its beginning was not.
func entryOf(items []Item) (Entry, bool) {
	last := &items[len(items)-1]
	entry := Entry{Alarm: last.Alarm, queuedAt: last.QueuedAt}
	told := false
	for i := range items {
		item := &items[i]
		entry.items = append(entry.items, item.ID)
		told = told || item.Told
		kind := typeOf(item.Kind)
		if kind == "" || overtaken(kind, &item.Alarm) {
			continue
		}
		if kind == Raised || kind == Reopened {
			entry.raises++
		}
		entry.Type, entry.At, entry.Tier = kind, item.At, max(entry.Tier, item.Tier)
		entry.Events = append(entry.Events, kind)
		if item.QueuedAt.Before(entry.queuedAt) {
			entry.queuedAt = item.QueuedAt
		}
	}
	return entry, told && len(entry.Events) > 0 || slices.ContainsFunc(entry.Events, Type.calls)
}

// overtaken reports whether a person has acted since, so that the event needs no answer any more. The first raise is reported all the
// same: its acknowledgement may be.
func overtaken(kind Type, a *Alarm) bool {
	switch kind {
	case Escalated:
		return a.Acknowledged || a.Snoozed || !a.Open
	case Reopened:
		return a.Acknowledged || a.Snoozed
	default:
		return false
	}
}

// digest makes one message of everything: at most each minute while something of high priority waits, else each 5 minutes.
func digest(state *State, entries []Entry, now time.Time) []Message {
	if len(entries) == 0 {
		return nil
	}
	every := slowDigest
	if entries[0].Alarm.Priority == alarm.High {
		every = DigestEvery
	}
	if now.Before(state.DigestAt.Add(every)) || !slices.ContainsFunc(entries, func(e Entry) bool { return due(&e, now) }) {
		return nil
	}
	state.DigestAt = now
	message := messageOf(entries, now)
	message.Type, message.Storm = Digest, true
	return []Message{message}
}

func due(e *Entry, now time.Time) bool {
	return !now.Before(e.queuedAt.Add(wait(e.Alarm.Priority)))
}

// groups makes a message of the entries of each condition and cohort once one of them has waited long enough, within the rate.
func groups(state *State, entries []Entry, now time.Time) (messages []Message) {
	type key struct {
		condition alarm.Condition
		cohort    string
	}
	var order []key
	groups := map[key][]Entry{}
	for _, entry := range entries {
		k := key{entry.Alarm.Condition, entry.Alarm.Cohort}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], entry)
	}
	for _, k := range order {
		group := groups[k]
		if state.Messages >= maxMessages {
			break
		}
		if slices.ContainsFunc(group, func(e Entry) bool { return due(&e, now) }) {
			state.Messages++
			messages = append(messages, messageOf(group, now))
		}
	}
	return messages
}

func messageOf(entries []Entry, now time.Time) Message {
	message := Message{Type: Digest, At: now, Entries: entries}
	if len(entries) == 1 {
		message.Type, message.At = entries[0].Type, entries[0].At
	}
	for i := range entries {
		message.Priority = max(message.Priority, entries[i].Alarm.Priority)
		message.Raises += entries[i].raises
		message.Items = append(message.Items, entries[i].items...)
	}
	return message
}
