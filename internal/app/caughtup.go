package app

import (
	"context"
	"time"

	"heartbeat/internal/backoff"
	"heartbeat/internal/kafka"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/progress"
)

const caughtUpEvery = 200 * time.Millisecond

// awaitCaughtUp returns once everything is stored that the topic holds now, by whichever member of the group.
func awaitCaughtUp(ctx context.Context, client *kafka.Client, pool *postgres.Pool) error {
	target, err := client.Topic(ctx)
	if err != nil {
		return err
	}
	for {
		if rows, err := query.ListProgress(ctx, pool); err == nil {
			if lag, _ := progress.Lag(progress.Compare(target, rows)); lag == 0 {
				return nil
			}
		}
		if err := backoff.Sleep(ctx, caughtUpEvery); err != nil {
			return err
		}
	}
}
