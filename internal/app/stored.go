package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"heartbeat/internal/export"
	"heartbeat/internal/importer"
	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
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

// ImportOptions set up an import.
type ImportOptions struct {
	Kafka    kafka.Config
	Database postgres.Options
	Import   importer.Options // but for what is made of the two above
	Logger   *slog.Logger
}

// Import sends those readings of files that are not stored.
func Import(ctx context.Context, options ImportOptions) (importer.Summary, error) {
	logger := options.Logger.With("component", "import")
	pool, err := openDatabase(ctx, options.Database, logger)
	if err != nil {
		return importer.Summary{}, err
	}
	defer pool.Close()
	client, err := kafka.Connect(ctx, options.Kafka)
	if err != nil {
		return importer.Summary{}, err
	}
	defer client.Close()
	publisher, err := producer.NewPublisher(ctx, producer.PublisherConfig{Config: options.Kafka})
	if err != nil {
		return importer.Summary{}, err
	}
	defer publisher.Close()
	options.Import.Pool, options.Import.Topic, options.Import.Publisher, options.Import.Logger = pool, client, publisher, logger
	return importer.Run(ctx, options.Import)
}
