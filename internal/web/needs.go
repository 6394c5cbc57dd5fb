package web

import (
	"context"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/live"
	"heartbeat/internal/readmodel"
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
	Totals(ctx context.Context) (readmodel.Totals, error) // without ActiveCustomers
	ActiveCustomers(ctx context.Context) (int64, error)
	Trend(ctx context.Context, span readmodel.Span) ([]readmodel.Bucket, error)
	Lag(ctx context.Context, span readmodel.Span) ([]readmodel.Lag, error)
	Anomalies(ctx context.Context, query readmodel.AnomalyQuery) ([]readmodel.Anomaly, error)
}

// Customers is what is stored of one customer.
type Customers interface {
	Customer(ctx context.Context, id string) (readmodel.Customer, error)
	Trace(ctx context.Context, trace readmodel.Trace) ([]readmodel.Sample, error)
	Minutes(ctx context.Context, customer string, span readmodel.Span) ([]readmodel.Minute, error)
}

// Machinery is what is stored of the pipeline itself.
type Machinery interface {
	Progress(ctx context.Context) ([]readmodel.Progress, error)
	Incidents(ctx context.Context, limit int) ([]readmodel.Incident, error)
	Tables(ctx context.Context, limit int) ([]readmodel.Table, error)
}

// Letters are the dead letters.
type Letters interface {
	DeadLetters(ctx context.Context, query readmodel.DeadLetterQuery) ([]readmodel.DeadLetter, error)
	Reasons(ctx context.Context) ([]readmodel.ReasonCount, error)
	DeadLetter(ctx context.Context, id int64) (readmodel.RawDeadLetter, error)
}

// Replayer tries to store a dead letter as a reading.
type Replayer interface {
	Replay(ctx context.Context, id int64) (readmodel.Replay, error)
}

// Log tells the offset after the newest record of each partition of the topic.
type Log interface {
	Ends(ctx context.Context) (map[int32]int64, error)
}

// Feed tells how the Fleet is being fed.
type Feed interface {
	Status() readmodel.Feed
}
