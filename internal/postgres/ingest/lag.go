package ingest

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// RecordLag stores how many offsets of the topic are not stored yet.
func RecordLag(ctx context.Context, pool *pgxpool.Pool, lag int64) error {
	_, err := pool.Exec(ctx, `
INSERT INTO pipeline_metrics (metric_name, metric_value, metric_unit)
VALUES ('consumer_lag', $1, 'offsets')`, lag)
	if err != nil {
		return fmt.Errorf("record lag: %w", err)
	}
	return nil
}
