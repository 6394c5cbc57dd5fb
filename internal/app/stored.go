package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"heartbeat/internal/export"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/query"
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

// ExportOptions set up an export.
type ExportOptions struct {
	Database postgres.Options
	Cohort   string         // exports the customers who are in it now, instead of Export.Customers
	Export   export.Options // but for its Source
	Logger   *slog.Logger
}

// Export writes stored readings to a file, a directory or a stream. A database role that only reads suffices.
func Export(ctx context.Context, options ExportOptions) (export.Summary, error) {
	options.Database.KeepReadOnly = true
	pool, err := openDatabase(ctx, options.Database, options.Logger)
	if err != nil {
		return export.Summary{}, err
	}
	defer pool.Close()
	readings := query.NewReadings(pool)
	options.Export.Source = readings
	if options.Cohort != "" {
		options.Export.Customers, err = readings.Cohort(ctx, options.Cohort)
		if err != nil {
			return export.Summary{}, err
		}
		if len(options.Export.Customers) == 0 {
			return export.Summary{}, fmt.Errorf("export: no customer is in cohort %s: heartbeat limits list shows who is in which", options.Cohort)
		}
	}
	return export.Run(ctx, options.Export)
}
