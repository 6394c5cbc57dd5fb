package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/progress"
)

const listProgressQuery = `
SELECT topic_id, kafka_topic, topic_name, partition, first_offset, next_offset, stored, anomalies, dead_lettered, skipped, lost,
       next_offset - first_offset - stored - anomalies - dead_lettered - skipped - lost,
       owner, updated_at
  FROM ingest_progress
 ORDER BY topic_name, incarnation, partition`

// ListProgress returns what is stored of every partition of every log, in order of topic, incarnation and partition.
func ListProgress(ctx context.Context, database interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}) ([]progress.Stored, error) {
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
