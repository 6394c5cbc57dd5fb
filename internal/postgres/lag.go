package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/readmodel"
)

// RecordLag writes down how many offsets of the topic are not stored yet.
func RecordLag(ctx context.Context, pool *pgxpool.Pool, lag int64) error {
	_, err := pool.Exec(ctx, `
INSERT INTO pipeline_metrics (metric_name, metric_value, metric_unit)
VALUES ('consumer_lag', $1, 'offsets')`, lag)
	if err != nil {
		return fmt.Errorf("record lag: %w", err)
	}
	return nil
}

const lagQuery = `
SELECT date_bin(@step, recorded_at, 'epoch') AS at, max(metric_value)::bigint
  FROM pipeline_metrics
 WHERE metric_name = 'consumer_lag' AND recorded_at >= @from AND recorded_at < @to
 GROUP BY 1
 ORDER BY 1`

// Lag returns the largest lag that consumers wrote down in each step of a span, oldest first. A step without one had no consumer.
func (d *Dashboard) Lag(ctx context.Context, span readmodel.Span) ([]readmodel.Lag, error) {
	rows, err := d.pool.Query(ctx, lagQuery, pgx.NamedArgs{"from": span.From, "to": span.To, "step": span.Step})
	return collect[readmodel.Lag](rows, err, "read lag")
}
