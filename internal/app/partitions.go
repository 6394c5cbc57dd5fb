package app

import (
	"context"
	"log/slog"
	"time"

	"heartbeat/internal/postgres"
)

// Partitions lists the partitions of the database's tables, and when a retention drops them.
func Partitions(ctx context.Context, options postgres.Options, retention time.Duration, logger *slog.Logger) ([]postgres.Part, error) {
	pool, err := openDatabase(ctx, options, logger)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	return postgres.NewTables(pool, retention).Inventory(ctx)
}
