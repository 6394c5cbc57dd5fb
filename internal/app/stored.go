package app

import (
	"context"
	"log/slog"
	"time"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/partition"
)

// Partitions lists the partitions of the database's tables, and when a retention drops them.
func Partitions(ctx context.Context, options postgres.Options, retention time.Duration, logger *slog.Logger) ([]partition.Info, error) {
	pool, err := openDatabase(ctx, options, logger)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	return partition.New(pool, retention).Inventory(ctx)
}
