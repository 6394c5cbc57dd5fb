package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"heartbeat/internal/backoff"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/schema"
)

const (
	databaseAttempts = 10
	databaseInterval = 5 * time.Second
)

// openServer connects to the database, with as many attempts as to the broker.
func openServer(ctx context.Context, options postgres.Options, logger *slog.Logger) (*postgres.Pool, error) {
	pool, err := postgres.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := awaitDatabase(ctx, pool, logger); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// openDatabase connects to the database and refuses one whose schema is not this binary's.
func openDatabase(ctx context.Context, options postgres.Options, logger *slog.Logger) (*postgres.Pool, error) {
	pool, err := openServer(ctx, options, logger)
	if err != nil {
		return nil, err
	}
	if err := schema.Check(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

func awaitDatabase(ctx context.Context, pool *postgres.Pool, logger *slog.Logger) error {
	for attempt := 1; ; attempt++ {
		err := postgres.Ping(ctx, pool)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if attempt == databaseAttempts || !postgres.Unavailable(err) {
			return err
		}
		logger.Warn("database not reachable", "attempt", fmt.Sprintf("%d of %d", attempt, databaseAttempts), "cause", err)
		if err := backoff.Sleep(ctx, databaseInterval); err != nil {
			return err
		}
	}
}
