package status

import (
	"time"
)

// Level says how much a component needs a person.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Down Level = "down"
)

// Component is the state of one part of the pipeline and what to do about it.
type Component struct {
	Name   string    `json:"name"`
	Level  Level     `json:"level"`
	Detail string    `json:"detail"`
	Action string    `json:"action"` // what to do, empty when all is well
	Since  time.Time `json:"since"`  // when the level was reached
}

const (
	// stalledAfter without progress while there is something to store makes a consumer stalled.
	stalledAfter = 10 * time.Second
	// lateSeconds of work waiting makes a consumer late.
	lateSeconds = 10
)

// findings are what the check looks at.
type findings struct {
	store     error
	broker    error
	feed      Feed
	hasBroker bool
	snapshot  *Snapshot
}

// health says how each component is, and remembers since when.
type health struct {
	states   map[string]*Component
	progress time.Time // when offsets were last seen to move
	next     int64     // the sum of the offsets then
}

func (h *health) check(now time.Time, f findings) []Component {
	verdicts := []Component{h.database(f), h.broker(f), h.consumer(now, f), h.accounting(f), h.feed(f)}
	kept := verdicts[:0]
	for _, verdict := range verdicts {
		if verdict.Name != "" {
			kept = append(kept, h.date(now, verdict))
		}
	}
	return kept
}

// date gives a verdict the time at which its level was reached.
func (h *health) date(now time.Time, verdict Component) Component {
	before, known := h.states[verdict.Name]
	verdict.Since = now
	if known && before.Level == verdict.Level {
		verdict.Since = before.Since
	}
	h.states[verdict.Name] = &verdict
	return verdict
}

func (h *health) database(f findings) Component {
	if f.store != nil {
		return Component{Name: "database", Level: Down, Detail: "The database does not answer.",
			Action: "Run `heartbeat doctor`: it tells whether the server is down, the password is wrong or the schema is missing. " +
				"Nothing is lost: readings wait in Kafka."}
	}
	return Component{Name: "database", Level: OK, Detail: "Answers; the figures are less than two seconds old."}
}

func (h *health) broker(f findings) Component {
	switch {
	case !f.hasBroker:
		return Component{}
	case f.broker != nil:
		return Component{Name: "broker", Level: Down, Detail: "The Kafka broker or the topic does not answer; lag is unknown.",
			Action: "Run `heartbeat doctor`: it tells whether the broker is reachable and the topic exists. Producers hold their events until it is back."}
	default:
		return Component{Name: "broker", Level: OK, Detail: "Answers and knows the topic."}
	}
}

func (h *health) consumer(now time.Time, f findings) Component {
	if f.store != nil {
		return Component{Name: "consumer", Level: Warn, Detail: "Unknown while the database does not answer.",
			Action: "See to the database first."}
	}
	moved := h.moved(now, f.snapshot)
	lag := f.snapshot.Lag
	switch {
	case len(f.snapshot.Partitions) == 0:
		return Component{Name: "consumer", Level: Warn, Detail: "No partition was ever claimed.",
			Action: "Start `heartbeat consume` (or `heartbeat up`, which includes it)."}
	case lag == nil:
		return Component{Name: "consumer", Level: Warn, Detail: "The end of the topic is not known, so neither is the lag.",
			Action: "See to the broker first."}
	case *lag > 0 && now.Sub(moved) > stalledAfter:
		return Component{Name: "consumer", Level: Down, Detail: "Records wait and nothing is being stored.",
			Action: "Check that `heartbeat consume` runs and read its log: a stopped partition says why. Nothing is lost; it goes on where it ended."}
	case f.snapshot.Stored != nil && float64(*lag) > lateSeconds*max(*f.snapshot.Stored, 100):
		return Component{Name: "consumer", Level: Warn, Detail: "Storing, but more than ten seconds behind.",
			Action: "If the lag does not shrink, run more consumers, up to one for each partition, or look at the database's load."}
	default:
		return Component{Name: "consumer", Level: OK, Detail: "Stores what arrives."}
	}
}

func (h *health) moved(now time.Time, s *Snapshot) time.Time {
	var next int64
	for _, p := range s.Partitions {
		next += p.Next
	}
	if next != h.next || h.progress.IsZero() {
		h.next, h.progress = next, now
	}
	if s.Lag != nil && *s.Lag == 0 {
		h.progress = now // nothing to do is not a stall
	}
	return h.progress
}

func (h *health) accounting(f findings) Component {
	switch {
	case f.store != nil:
		return Component{Name: "accounting", Level: Warn, Detail: "Unknown while the database does not answer.", Action: "See to the database first."}
	case f.snapshot.Unaccounted != 0:
		return Component{Name: "accounting", Level: Down, Detail: "Some offsets are neither stored nor dead-lettered nor skipped.",
			Action: "This must not happen. Run `heartbeat verify`, keep its output and the consumer's log, and report both."}
	case f.snapshot.Totals.DataIncidents > 0:
		return Component{Name: "accounting", Level: Warn, Detail: "Every offset is accounted for, but some records were lost before they were read.",
			Action: "The incidents below say which and why. Raise Kafka's retention above the longest outage you expect."}
	default:
		return Component{Name: "accounting", Level: OK, Detail: "Every offset is stored, dead-lettered or skipped."}
	}
}

func (h *health) feed(f findings) Component {
	if f.feed == nil {
		return Component{}
	}
	if status := f.feed.Status(); !status.Following {
		return Component{Name: "live view", Level: Down, Detail: "The console does not receive the topic: " + status.Detail,
			Action: "The wall shows the last known values. It goes on by itself once the broker is back."}
	}
	return Component{Name: "live view", Level: OK, Detail: "Follows the topic."}
}
