package query

import (
	"context"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/readmodel"
)

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
