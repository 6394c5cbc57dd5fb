// Package audit compares what is stored with what Kafka has: every offset accounted for exactly once, alerts equal
// anomalies, nothing stored twice. `heartbeat verify` runs it.
//
// It changes nothing and repairs nothing. It needs one bit of memory per offset. An audit is one call and belongs to one
// goroutine; it may run beside live consumers, because it reads one snapshot of the database.
package audit

import (
	"context"
	"fmt"

	"heartbeat/internal/progress"
)

// Log is what the database says about one partition of one log.
type Log struct {
	Topic        string   `json:"topic"`     // the topic's name
	TopicID      [16]byte `json:"-"`         // and identity
	Label        string   `json:"log"`       // what rows carry as kafka_topic
	Partition    int32    `json:"partition"` //
	Current      bool     `json:"current"`   // no later log of this topic and partition
	First        int64    `json:"first_offset"`
	Next         int64    `json:"next_offset"`
	Records      int64    `json:"records"` // rows, as counted when they were written
	Anomalies    int64    `json:"anomalies"`
	DeadLettered int64    `json:"dead_lettered"`
	Skipped      int64    `json:"skipped"`
	Lost         int64    `json:"lost"`
	Dropped      int64    `json:"retired"` // rows that retention has dropped since
}

// Database is one snapshot of what is stored.
type Database interface {
	Logs(ctx context.Context) ([]Log, error)
	// Offsets calls visit for every stored row: records, anomalies and dead letters that were not replayed.
	Offsets(ctx context.Context, visit func(label string, partition int32, offset int64)) error
	// Repeats calls visit for every record that was dropped because it repeats an earlier one.
	Repeats(ctx context.Context, visit func(label string, partition int32, offset int64)) error
	// Contradictions returns what rows say against each other or against the rules: alerts without anomaly, anomalies
	// without alert, values outside their class.
	Contradictions(ctx context.Context) ([]Problem, error)
}

// Broker is what Kafka has.
type Broker interface {
	// Bounds returns the retained offsets of each partition of the topic with this id, none if there is no such topic.
	Bounds(ctx context.Context, topic string, id [16]byte) (map[int32]progress.Bounds, error)
	// Scan calls visit for each record in [from, to) that carries an event and is retained.
	Scan(ctx context.Context, topic string, partition int32, from, to int64, visit func(offset int64)) error
}

// Problem is one thing that does not add up.
type Problem struct {
	Promise   string `json:"promise"` // P1, P2, P6 or P11
	Log       string `json:"log,omitempty"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from_offset"`
	To        int64  `json:"to_offset"` // behind the last offset concerned
	Detail    string `json:"detail"`
}

func (p Problem) String() string {
	return fmt.Sprintf("%s: %s partition %d offsets %d to %d: %s", p.Promise, p.Log, p.Partition, p.From, p.To-1, p.Detail)
}

// Report is the outcome.
type Report struct {
	OK       bool      `json:"ok"`
	Offsets  int64     `json:"offsets"` // examined
	Lag      int64     `json:"lag"`     // records that the broker has and that are still to be stored
	Logs     []Log     `json:"logs"`
	Problems []Problem `json:"problems"`
	Omitted  int       `json:"problems_omitted"` // beyond maxProblems
	Replay   *Replay   `json:"replay,omitempty"` // nil: not asked for
}

// Replay says what the detector was run over again.
type Replay struct {
	Readings    int64 `json:"readings"`
	Transitions int64 `json:"transitions"` // compared with the history
	Customers   int   `json:"customers"`
	// Undecided are customers whose readings the log does not decide: in several partitions, or too few since its start.
	Undecided int `json:"customers_undecided"`
	// Undetected are stretches of the log that give transitions of which none is stored.
	Undetected []Undetected `json:"undetected"`
}

// Undetected is a stretch of a log that was probably read without detection.
type Undetected struct {
	Log         string `json:"log"`
	Partition   int32  `json:"partition"`
	From        int64  `json:"from_offset"`
	To          int64  `json:"to_offset"` // behind the last offset concerned
	Transitions int64  `json:"transitions"`
}

func (u Undetected) String() string {
	return fmt.Sprintf("%s partition %d offsets %d to %d: none of %d transitions is stored, as where the consumer ran with --no-detection",
		u.Log, u.Partition, u.From, u.To-1, u.Transitions)
}

// maxProblems is how many problems a report lists.
const maxProblems = 100

// Add adds a problem.
func (r *Report) Add(problem Problem) {
	r.OK = false
	if len(r.Problems) == maxProblems {
		r.Omitted++
		return
	}
	r.Problems = append(r.Problems, problem)
}

// Run audits. progress, which may be nil, is told what is being looked at.
func Run(ctx context.Context, database Database, broker Broker, progress func(string)) (Report, error) {
	report := Report{Problems: []Problem{}}
	say := func(format string, args ...any) {
		if progress != nil {
			progress(fmt.Sprintf(format, args...))
		}
	}
	var err error
	if report.Logs, err = database.Logs(ctx); err != nil {
		return report, err
	}
	say("reading the offsets of every stored row")
	bitmaps := newOffsetBitmaps(report.Logs, &report)
	if err := database.Offsets(ctx, bitmaps.mark); err != nil {
		return report, err
	}
	if err := database.Repeats(ctx, bitmaps.markRepeated); err != nil {
		return report, err
	}
	for _, bitmap := range bitmaps.ordered {
		say("%s partition %d: %d offsets", bitmap.Label, bitmap.Partition, bitmap.Next-bitmap.First)
		if err := bitmap.compare(ctx, broker, &report); err != nil {
			return report, err
		}
	}
	say("comparing anomalies with alerts")
	contradictions, err := database.Contradictions(ctx)
	if err != nil {
		return report, err
	}
	for _, problem := range contradictions {
		report.Add(problem)
	}
	report.OK = len(report.Problems) == 0
	return report, nil
}
