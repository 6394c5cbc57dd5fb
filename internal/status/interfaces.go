package status

import (
	"context"

	"heartbeat/internal/progress"
	"heartbeat/internal/readmodel"
)

// Store answers from what is stored.
type Store interface {
	Totals(ctx context.Context) (readmodel.Totals, error) // without ActiveCustomers
	ActiveCustomers(ctx context.Context) (int64, error)
	Progress(ctx context.Context) ([]progress.Stored, error)
}

// Broker describes the topic and the consumer group.
type Broker interface {
	Topic(ctx context.Context) (*progress.Topic, error)
	Group(ctx context.Context) *progress.Group
}

// Feed reports whether the live view receives the topic.
type Feed interface {
	Status() readmodel.Feed
}
