package query

import (
	"context"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/readmodel"
)

// Latency is not in the rollup: of each step the newest hundred anomalies, a random sample of the readings, tell it.
const trendQuery = `
SELECT fleet.*, latency.p[1], latency.p[2]
  FROM (SELECT date_bin(@step, minute, 'epoch') AS at,
               sum(valid_count)::bigint,
               sum(bradycardia_count)::bigint,
               sum(tachycardia_count)::bigint,
               sum(invalid_count)::bigint,
               sum(bpm_sum)::float8 / nullif(sum(valid_count), 0)::float8,
               min(bpm_min),
               max(bpm_max)
          FROM fleet_minute
         WHERE minute >= @from AND minute < @to
         GROUP BY 1) AS fleet
  LEFT JOIN LATERAL (
       SELECT percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY
                  1000 * extract(epoch FROM ingestion_timestamp - event_timestamp)::float8) AS p
         FROM (SELECT ingestion_timestamp, event_timestamp
                 FROM heartbeat_anomalies
                WHERE event_timestamp >= fleet.at AND event_timestamp < fleet.at + @step::interval
                ORDER BY event_timestamp DESC
                LIMIT 100) AS sample) AS latency ON true
 ORDER BY fleet.at`

// Trend returns the steps of a span that had a reading, oldest first.
func (d *Dashboard) Trend(ctx context.Context, span readmodel.Span) ([]readmodel.Bucket, error) {
	rows, err := d.pool.Query(ctx, trendQuery, pgx.NamedArgs{"from": span.From, "to": span.To, "step": span.Step})
	return collect[readmodel.Bucket](rows, err, "read trend")
}

const traceQuery = `
SELECT event_timestamp, heart_rate, class
  FROM ((SELECT event_timestamp, heart_rate::integer AS heart_rate, 'NORMAL' AS class
           FROM heartbeat_records
          WHERE customer_id = @customer AND event_timestamp >= @from AND event_timestamp < @to
          ORDER BY event_timestamp DESC
          LIMIT @limit)
        UNION ALL
        (SELECT event_timestamp, heart_rate, anomaly_type
           FROM heartbeat_anomalies
          WHERE customer_id = @customer AND event_timestamp >= @from AND event_timestamp < @to
          ORDER BY event_timestamp DESC
          LIMIT @limit)) AS reading
 ORDER BY event_timestamp DESC
 LIMIT @limit`

// Trace returns the newest readings of one customer in a stretch of time, newest first.
func (d *Dashboard) Trace(ctx context.Context, trace readmodel.Trace) ([]readmodel.Sample, error) {
	rows, err := d.pool.Query(ctx, traceQuery, pgx.NamedArgs{
		"customer": trace.Customer, "from": trace.From, "to": trace.To, "limit": trace.Limit,
	})
	return collect[readmodel.Sample](rows, err, "read trace")
}

const minutesQuery = `
SELECT date_bin(@step, event_timestamp, 'epoch') AS at,
       avg(heart_rate) FILTER (WHERE valid)::float8,
       min(heart_rate) FILTER (WHERE valid),
       max(heart_rate) FILTER (WHERE valid),
       count(*) FILTER (WHERE valid),
       count(*) FILTER (WHERE NOT valid)
  FROM (SELECT event_timestamp, heart_rate::integer AS heart_rate, true AS valid
          FROM heartbeat_records
         WHERE customer_id = @customer AND event_timestamp >= @from AND event_timestamp < @to
        UNION ALL
        SELECT event_timestamp, heart_rate, false
          FROM heartbeat_anomalies
         WHERE customer_id = @customer AND event_timestamp >= @from AND event_timestamp < @to) AS reading
 GROUP BY 1
 ORDER BY 1`

// Minutes sums up the readings of one customer step by step, oldest first.
func (d *Dashboard) Minutes(ctx context.Context, customer string, span readmodel.Span) ([]readmodel.Minute, error) {
	rows, err := d.pool.Query(ctx, minutesQuery, pgx.NamedArgs{
		"customer": customer, "from": span.From, "to": span.To, "step": span.Step,
	})
	return collect[readmodel.Minute](rows, err, "read customer minutes")
}
