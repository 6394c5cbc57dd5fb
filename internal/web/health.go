package web

import (
	"net/http"
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
	// boardOld makes a board one that nobody keeps up any more. A slow database alone does not make it that old.
	boardOld = 2 * time.Minute
	// lateSeconds of work waiting makes a consumer late.
	lateSeconds = 10
)

// findings are what the judge looks at.
type findings struct {
	store  error
	log    error
	feed   Feed
	hasLog bool
	board  *Board
}

// judge says how each component is, and remembers since when.
type judge struct {
	states   map[string]*Component
	progress time.Time // when offsets were last seen to move
	next     int64     // the sum of the offsets then
}

func (j *judge) judge(now time.Time, f findings) []Component {
	verdicts := []Component{j.database(f), j.broker(f), j.consumer(now, f), j.accounting(f), j.feed(f)}
	kept := verdicts[:0]
	for _, verdict := range verdicts {
		if verdict.Name != "" {
			kept = append(kept, j.date(now, verdict))
		}
	}
	return kept
}

// date gives a verdict the time at which its level was reached.
func (j *judge) date(now time.Time, verdict Component) Component {
	before, known := j.states[verdict.Name]
	verdict.Since = now
	if known && before.Level == verdict.Level {
		verdict.Since = before.Since
	}
	j.states[verdict.Name] = &verdict
	return verdict
}

func (j *judge) database(f findings) Component {
	if f.store != nil {
		return Component{Name: "database", Level: Down, Detail: "The database does not answer.",
			Action: "Run `heartbeat doctor`: it tells whether the server is down, the password is wrong or the schema is missing. " +
				"Nothing is lost: readings wait in Kafka."}
	}
	return Component{Name: "database", Level: OK, Detail: "Answers; the figures are less than two seconds old."}
}

func (j *judge) broker(f findings) Component {
	switch {
	case !f.hasLog:
		return Component{}
	case f.log != nil:
		return Component{Name: "broker", Level: Down, Detail: "The Kafka broker or the topic does not answer; lag is unknown.",
			Action: "Run `heartbeat doctor`: it tells whether the broker is reachable and the topic exists. Producers hold their events until it is back."}
	default:
		return Component{Name: "broker", Level: OK, Detail: "Answers and knows the topic."}
	}
}

func (j *judge) consumer(now time.Time, f findings) Component {
	if f.store != nil {
		return Component{Name: "consumer", Level: Warn, Detail: "Unknown while the database does not answer.",
			Action: "See to the database first."}
	}
	moved := j.moved(now, f.board)
	lag := f.board.Lag
	switch {
	case len(f.board.Partitions) == 0:
		return Component{Name: "consumer", Level: Warn, Detail: "No partition was ever claimed.",
			Action: "Start `heartbeat consume` (or `heartbeat up`, which includes it)."}
	case lag == nil:
		return Component{Name: "consumer", Level: Warn, Detail: "The end of the topic is not known, so neither is the lag.",
			Action: "See to the broker first."}
	case *lag > 0 && now.Sub(moved) > stalledAfter:
		return Component{Name: "consumer", Level: Down, Detail: "Records wait and nothing is being stored.",
			Action: "Check that `heartbeat consume` runs and read its log: a stopped partition says why. Nothing is lost; it goes on where it ended."}
	case f.board.Stored != nil && float64(*lag) > lateSeconds*max(*f.board.Stored, 100):
		return Component{Name: "consumer", Level: Warn, Detail: "Storing, but more than ten seconds behind.",
			Action: "If the lag does not shrink, run more consumers, up to one for each partition, or look at the database's load."}
	default:
		return Component{Name: "consumer", Level: OK, Detail: "Stores what arrives."}
	}
}

func (j *judge) moved(now time.Time, b *Board) time.Time {
	var next int64
	for _, p := range b.Partitions {
		next += p.Next
	}
	if next != j.next || j.progress.IsZero() {
		j.next, j.progress = next, now
	}
	if b.Lag != nil && *b.Lag == 0 {
		j.progress = now // nothing to do is not a stall
	}
	return j.progress
}

func (j *judge) accounting(f findings) Component {
	switch {
	case f.store != nil:
		return Component{Name: "accounting", Level: Warn, Detail: "Unknown while the database does not answer.", Action: "See to the database first."}
	case f.board.Unaccounted != 0:
		return Component{Name: "accounting", Level: Down, Detail: "Some offsets are neither stored nor dead-lettered nor skipped.",
			Action: "This must not happen. Run `heartbeat verify`, keep its output and the consumer's log, and report both."}
	case f.board.Totals.DataIncidents > 0:
		return Component{Name: "accounting", Level: Warn, Detail: "Every offset is accounted for, but some records were lost before they were read.",
			Action: "The incidents below say which and why. Raise Kafka's retention above the longest outage you expect."}
	default:
		return Component{Name: "accounting", Level: OK, Detail: "Every offset is stored, dead-lettered or skipped."}
	}
}

func (j *judge) feed(f findings) Component {
	if f.feed == nil {
		return Component{}
	}
	if status := f.feed.Status(); !status.Following {
		return Component{Name: "live view", Level: Down, Detail: "The console does not receive the topic: " + status.Detail,
			Action: "The wall shows the last known values. It goes on by itself once the broker is back."}
	}
	return Component{Name: "live view", Level: OK, Detail: "Follows the topic."}
}

type statusBody struct {
	Status string `json:"status"`
}

// healthz says that the process answers, and nothing more.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, statusBody{Status: "ok"})
}

// readyz says whether the console can show what it is for: it needs the database. It asks the board, not the database:
// everybody may ask it, as often as they like.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) error {
	if board := s.board.current(); board.Totals == nil || time.Since(board.At) > boardOld {
		return problem(unavailable, "the database did not answer the last time it was asked")
	}
	return answer(w, statusBody{Status: "ready"})
}
