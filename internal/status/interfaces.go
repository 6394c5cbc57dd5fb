package status

import (
	"context"

	"heartbeat/internal/readmodel"
)

// Store answers from what is stored.
type Store interface {
	Totals(ctx context.Context) (readmodel.Totals, error) // without ActiveCustomers
	ActiveCustomers(ctx context.Context) (int64, error)
	Progress(ctx context.Context) ([]readmodel.Progress, error)
}

// Broker tells the offset after the newest record of each partition of the topic.
type Broker interface {
	Ends(ctx context.Context) (map[int32]int64, error)
}

// Feed tells how the live view is being fed.
type Feed interface {
	Status() readmodel.Feed
}
