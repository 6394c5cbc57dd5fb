package web

import (
	"context"
	"time"

	"github.com/google/uuid"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/live"
	"heartbeat/internal/readmodel"
	"heartbeat/internal/status"
	"heartbeat/internal/stream"
)

// Fleet is the newest value of every customer.
type Fleet interface {
	stream.Fleet
	Snapshot() *live.Frame
	Latest() *live.Frame
	Lookup(id heartbeat.CustomerID) (live.Change, bool)
	Seconds(from time.Time) []live.Second
}

// Store answers from what is stored.
type Store interface {
	status.Store
	History
	Customers
	Maintenance
	DeadLetters
}

// History is what is stored of the whole fleet.
type History interface {
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

// Maintenance is what is stored of the pipeline itself.
type Maintenance interface {
	Incidents(ctx context.Context, limit int) ([]readmodel.Incident, error)
	Tables(ctx context.Context, limit int) ([]readmodel.Table, error)
}

// DeadLetters are the records that are not readings.
type DeadLetters interface {
	DeadLetters(ctx context.Context, query readmodel.DeadLetterQuery) ([]readmodel.DeadLetter, error)
	Reasons(ctx context.Context) ([]readmodel.ReasonCount, error)
	DeadLetter(ctx context.Context, id int64) (readmodel.RawDeadLetter, error)
}

// Deliveries are the messages to people.
type Deliveries interface {
	List(ctx context.Context, state, destination string, limit int) ([]readmodel.Delivery, error)
	Depths(ctx context.Context, now time.Time) (destinations []readmodel.Destination, unrouted int, err error)
	// Retry sends messages again that were given up: one, or all of a destination. It fails with readmodel.ErrReadOnly where the database
	// takes no change.
	Retry(ctx context.Context, id uuid.UUID, destination string, now time.Time) (int, error)
}

// Replayer tries to store a dead letter as a reading.
type Replayer interface {
	Replay(ctx context.Context, id int64) (readmodel.Replay, error)
}
