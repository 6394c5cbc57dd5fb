package notify

import (
	"slices"
	"time"

	"github.com/google/uuid"

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

// Sent is what a destination has been sent.
type Sent struct {
	Raises   int // in messages of the last StormWindow
	Messages int // made in the last RateWindow
	Storm    bool
	DigestAt time.Time

	// Incidents is set for a destination that shows each alarm as an incident of its own: outside of storms its messages are not
	// grouped. StormIncident is that of the storm, or of the next one.
	Incidents     bool
	StormIncident Incident
}

// Planned is what becomes of the items that wait.
type Planned struct {
	Messages  []Message
	Done      []int64     // items that need no message any more, such as the escalation of what was acknowledged meanwhile
	Withdrawn []uuid.UUID // messages that were not taken and whose items are in Messages or Done now, or wait again
	After     Sent
}

// Plan turns what waits for a destination into messages. The other items wait. A message that was not taken is withdrawn when more
// is to be told of one of its alarms: the destination hears of both at once, and in a storm of everything at once.
func Plan(sent Sent, pending []Item, now time.Time) Planned {
	entries, done := reduce(touched(pending))
	raises := sent.Raises
	for i := range entries {
		raises += entries[i].fresh
	}
	if sent.Storm = raises >= stormFrom || sent.Storm && raises >= stormUntil; sent.Storm {
		entries, done = reduce(pending)
	}
	plan := planner{Planned: Planned{After: sent}, now: now}
	for i := range done {
		plan.finish(&done[i])
	}
	plan.groups(entries)
	return plan.Planned
}

// touched returns the items that are in no message, with all those that are in a message about the same alarm, and so on.
func touched(pending []Item) []Item {
	alarms, messages := map[alarm.ID]bool{}, map[uuid.UUID]bool{}
	in := func(i *Item) bool { return i.Message == uuid.Nil || messages[i.Message] || alarms[i.Alarm.ID] }
	for grown := true; grown; {
		grown = false
		for i := range pending {
			item := &pending[i]
			if !in(item) || alarms[item.Alarm.ID] && (item.Message == uuid.Nil || messages[item.Message]) {
				continue
			}
			grown, alarms[item.Alarm.ID] = true, true
			if item.Message != uuid.Nil {
				messages[item.Message] = true
			}
		}
	}
	var items []Item
	for i := range pending {
		if in(&pending[i]) {
			items = append(items, pending[i])
		}
	}
	return items
}

type planner struct {
	Planned
	now time.Time
}

// group is what belongs into one message.
type group struct {
	entries  []Entry
	incident Incident
	digest   bool // of a storm
}

type groupKey struct {
	condition alarm.Condition
	cohort    string
	incident  uuid.UUID
}

// key says which message an entry belongs into: in a storm one for all, else one for each condition and cohort. A destination with
// incidents gets one for each incident.
func (p *planner) key(e *Entry) (key groupKey, incident Incident, digest bool) {
	sent := &p.After
	switch {
	case !sent.Incidents && sent.Storm:
		return groupKey{}, Incident{}, true
	case !sent.Incidents:
		return groupKey{condition: e.Alarm.Condition, cohort: e.Alarm.Cohort}, Incident{}, false
	case e.incident.ID != uuid.Nil:
		return groupKey{incident: e.incident.ID}, e.incident, sent.Storm
	case sent.Storm && !e.told:
		return groupKey{incident: sent.StormIncident.ID}, sent.StormIncident, true
	default:
		return groupKey{incident: e.Alarm.ID}, Incident{}, false
	}
}

// groups makes messages of what has waited long enough, the worst first.
func (p *planner) groups(entries []Entry) {
	var order []groupKey
	groups := map[groupKey]*group{}
	for _, entry := range entries {
		key, incident, digest := p.key(&entry)
		if groups[key] == nil {
			order = append(order, key)
			groups[key] = &group{incident: incident, digest: digest}
		}
		groups[key].entries = append(groups[key].entries, entry)
	}
	digestAt := p.After.DigestAt
	for _, key := range order {
		g := groups[key]
		switch {
		case !slices.ContainsFunc(g.entries, func(e Entry) bool { return due(&e, p.now) }):
		case g.digest && p.now.Before(digestAt.Add(digestEvery(g.entries))):
		case !g.digest && p.After.Messages >= maxMessages:
		default:
			p.make(g)
		}
	}
}

// counted returns the incident of a storm with the alarms that the destination is to be told of in it, and how many of those are not
// answered. What it was told of is counted already.
func (g *group) counted() (incident Incident, unanswered int) {
	incident = g.incident
	var untold []Entry
	for i := range g.entries {
		if told := g.entries[i].incident; told.ID != uuid.Nil {
			incident.Open, incident.Left = max(incident.Open, told.Open), max(incident.Left, told.Left)
		} else {
			untold = append(untold, g.entries[i])
		}
	}
	open, unanswered := count(untold)
	incident.Open, incident.Left = incident.Open+open, incident.Left+unanswered
	return incident, unanswered
}

// make makes the message of a group. One that changes nothing about the incident of a storm is not made.
func (p *planner) make(g *group) {
	message := messageOf(g.entries, p.now)
	unanswered := 0 // of the untold
	if message.Storm = g.digest; g.incident.ID != uuid.Nil {
		message.Incident, unanswered = g.counted()
	}
	for i := range g.entries {
		p.Withdrawn = append(p.Withdrawn, g.entries[i].messages...)
	}
	if !message.Calls() && message.Incident.Left > 0 && unanswered == 0 {
		p.Done = append(p.Done, message.Items...)
		return
	}
	if g.digest {
		message.Type, p.After.DigestAt = Digest, p.now
	} else {
		p.After.Messages++
	}
	p.Messages = append(p.Messages, message)
}

func (p *planner) finish(e *Entry) {
	p.Done = append(p.Done, e.items...)
	p.Withdrawn = append(p.Withdrawn, e.messages...)
}

// digestEvery is the least time between two digests: at most each minute while something of high priority waits, else each 5 minutes.
func digestEvery(entries []Entry) time.Duration {
	if entries[0].Alarm.Priority == alarm.High {
		return DigestEvery
	}
	return slowDigest
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

func due(e *Entry, now time.Time) bool {
	return !now.Before(e.queuedAt.Add(wait(e.Alarm.Priority)))
}
