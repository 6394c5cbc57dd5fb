package query

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres"
	"heartbeat/internal/progress"
)

const listProgressQuery = `
SELECT topic_id, kafka_topic, topic_name, partition, first_offset, next_offset, stored, anomalies, dead_lettered, skipped, lost,
       next_offset - first_offset - stored - anomalies - dead_lettered - skipped - lost,
       owner, updated_at
  FROM ingest_progress
 ORDER BY topic_name, incarnation, partition`

// ListProgress returns what is stored of every partition of every log, in order of topic, incarnation and partition.
func ListProgress(ctx context.Context, database postgres.Querier) ([]progress.Stored, error) {
	rows, err := database.Query(ctx, listProgressQuery)
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[progress.Stored])
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	return all, nil
}

// Totals are the numbers of rows ever stored, and what waits for a person.
type Totals struct {
	Records     int64
	Anomalies   int64
	DeadLetters int64 // not replayed
	Incidents   int64

	// Of the partitions that reported within the last three minutes.
	CustomersHeard, CustomersWatched int64

	Silent int64 // customers who are silent
}

const storedTotalsQuery = `
SELECT coalesce(sum(stored), 0)::bigint, coalesce(sum(anomalies), 0)::bigint,
       (SELECT count(*) FROM dead_letters WHERE replayed_at IS NULL),
       (SELECT count(*) FROM data_incidents),
       coalesce(sum(customers_heard) FILTER (WHERE reported_at > now() - interval '3 minutes'), 0)::bigint,
       coalesce(sum(customers_watched) FILTER (WHERE reported_at > now() - interval '3 minutes'), 0)::bigint,
       (SELECT count(*) FROM silences)
  FROM ingest_progress`

// ReadTotals counts what is stored.
func ReadTotals(ctx context.Context, pool *pgxpool.Pool) (totals Totals, err error) {
	err = pool.QueryRow(ctx, storedTotalsQuery).Scan(&totals.Records, &totals.Anomalies, &totals.DeadLetters, &totals.Incidents,
		&totals.CustomersHeard, &totals.CustomersWatched, &totals.Silent)
	if err != nil {
		return totals, fmt.Errorf("read totals: %w", err)
	}
	return totals, nil
}
