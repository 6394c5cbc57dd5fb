package web

import (
	"context"
	"time"

	"heartbeat/internal/facts"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/live"
)

// Fleet is the newest value of every customer.
type Fleet interface {
	Next(ctx context.Context, cursor live.Cursor) (live.Update, error)
	Snapshot() *live.Frame
	Latest() *live.Frame
	Lookup(id heartbeat.CustomerID) (live.Change, bool)
	Seconds(from time.Time) []live.Second
}

// Store answers from what is stored.
type Store interface {
	History
	Customers
	Machinery
	Letters
}

// History is what is stored of the whole fleet.
type History interface {
	Totals(ctx context.Context) (facts.Totals, error) // without ActiveCustomers
	ActiveCustomers(ctx context.Context) (int64, error)
	Trend(ctx context.Context, span facts.Span) ([]facts.Bucket, error)
	Lag(ctx context.Context, span facts.Span) ([]facts.Lag, error)
	Anomalies(ctx context.Context, query facts.AnomalyQuery) ([]facts.Anomaly, error)
}

// Customers is what is stored of one customer.
type Customers interface {
	Customer(ctx context.Context, id string) (facts.Customer, error)
	Trace(ctx context.Context, trace facts.Trace) ([]facts.Sample, error)
	Minutes(ctx context.Context, customer string, span facts.Span) ([]facts.Minute, error)
}

// Machinery is what is stored of the pipeline itself.
type Machinery interface {
	Progress(ctx context.Context) ([]facts.Progress, error)
	Incidents(ctx context.Context, limit int) ([]facts.Incident, error)
	Tables(ctx context.Context, limit int) ([]facts.Table, error)
}

// Letters are the dead letters.
type Letters interface {
	DeadLetters(ctx context.Context, query facts.DeadLetterQuery) ([]facts.DeadLetter, error)
	Reasons(ctx context.Context) ([]facts.ReasonCount, error)
	DeadLetter(ctx context.Context, id int64) (facts.RawDeadLetter, error)
}

// Replayer tries to store a dead letter as a reading.
type Replayer interface {
	Replay(ctx context.Context, id int64) (facts.Replay, error)
}

// Log tells the offset after the newest record of each partition of the topic.
type Log interface {
	Ends(ctx context.Context) (map[int32]int64, error)
}

// Feed tells how the Fleet is being fed.
type Feed interface {
	Status() facts.Feed
}
