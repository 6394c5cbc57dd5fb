package status

import (
	"slices"
	"strings"
	"time"

	"heartbeat/internal/progress"
)

// Level is how urgently a component needs a person.
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

// lateSeconds of work waiting makes a consumer late.
const lateSeconds = 10

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
	states map[string]*Component
}

func (h *health) check(now time.Time, f findings) []Component {
	verdicts := []Component{h.database(f), h.broker(f), h.consumer(f), h.accounting(f), h.feed(f)}
	kept := verdicts[:0]
	for _, verdict := range verdicts {
		if verdict.Name == "" {
			continue
		}
		verdict = h.date(now, verdict)
		kept = append(kept, verdict)
		if verdict.Name == "broker" && verdict.Level == Down {
			f.snapshot.BrokerSince = verdict.Since
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
			Action: "Run `heartbeat doctor`: it finds out whether the server is down, the password is wrong or the schema is missing. " +
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
			Action: "Run `heartbeat doctor`: it finds out whether the broker is reachable and the topic exists. Producers hold their events until it is back."}
	default:
		return Component{Name: "broker", Level: OK, Detail: "Answers and knows the topic."}
	}
}

func (h *health) consumer(f findings) Component {
	if f.store != nil {
		return Component{Name: "consumer", Level: Warn, Detail: "Unknown while the database does not answer.",
			Action: "Repair the database first."}
	}
	lag := f.snapshot.Lag
	switch {
	case len(f.snapshot.Stalled) > 0:
		return Component{Name: "consumer", Level: Down, Detail: sentence(progress.Describe(f.snapshot.Stalled)),
			Action: "Run `heartbeat doctor`. Nothing is lost: the readings wait in Kafka, and the consumer goes on where it ended."}
	case !slices.ContainsFunc(f.snapshot.Partitions, func(p progress.Partition) bool { return p.Claimed() }):
		return Component{Name: "consumer", Level: Warn, Detail: "No partition was ever claimed.",
			Action: "Start `heartbeat consume` (or `heartbeat up`, which includes it)."}
	case lag == nil:
		return Component{Name: "consumer", Level: Warn, Detail: "The end of the topic is not known, so neither is the lag.",
			Action: "Repair the broker first."}
	case f.snapshot.Stored != nil && float64(*lag) > lateSeconds*max(*f.snapshot.Stored, 100):
		return Component{Name: "consumer", Level: Warn, Detail: "Storing, but more than ten seconds behind.",
			Action: "If the lag does not shrink, run more consumers, up to one for each partition, or look at the database's load."}
	default:
		return Component{Name: "consumer", Level: OK, Detail: "Stores what arrives."}
	}
}

func (h *health) accounting(f findings) Component {
	switch {
	case f.store != nil:
		return Component{Name: "accounting", Level: Warn, Detail: "Unknown while the database does not answer.", Action: "Repair the database first."}
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

// sentence begins a text with a capital letter and ends it with a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
