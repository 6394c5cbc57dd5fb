package query

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/readmodel"
)

// Dashboard answers the console's questions. It reads rollups or stretches bounded by an index, never a whole table of
// readings, and only ever inside a read-only statement. It may be shared.
type Dashboard struct {
	pool *pgxpool.Pool
}

// NewDashboard returns a Dashboard on a pool, which stays the caller's to close.
func NewDashboard(pool *pgxpool.Pool) *Dashboard { return &Dashboard{pool: pool} }

// Ping reports whether the database answers.
func (d *Dashboard) Ping(ctx context.Context) error {
	if err := d.pool.Ping(ctx); err != nil {
		return fmt.Errorf("reach database: %w", err)
	}
	return nil
}

// The last five minutes are the whole minutes of the rollup and what is left of the first one.
const totalsQuery = `
WITH span AS (
    SELECT now() - interval '5 minutes' AS begins,
           date_trunc('minute', now() - interval '5 minutes') + interval '1 minute' AS whole
)
SELECT coalesce((SELECT total FROM vw_pipeline_summary WHERE metric = 'valid_records'), 0)::bigint,
       coalesce((SELECT total FROM vw_pipeline_summary WHERE metric = 'anomaly_records'), 0)::bigint,
       (coalesce((SELECT sum(bradycardia_count + tachycardia_count + invalid_count)
                    FROM fleet_minute, span WHERE minute >= whole), 0)
        + (SELECT count(*) FROM heartbeat_anomalies, span
            WHERE event_timestamp >= begins AND event_timestamp < whole))::bigint,
       (SELECT count(*) FROM dead_letters),
       (SELECT count(*) FROM dead_letters WHERE replayed_at IS NULL),
       (SELECT count(*) FROM data_incidents),
       pg_database_size(current_database())`

// Totals returns the figures over the wall but ActiveCustomers, which costs more than all the others.
func (d *Dashboard) Totals(ctx context.Context) (readmodel.Totals, error) {
	var t readmodel.Totals
	err := d.pool.QueryRow(ctx, totalsQuery).Scan(&t.Valid, &t.Anomalies, &t.RecentAnomalies,
		&t.DeadLetters, &t.PendingLetters, &t.DataIncidents, &t.DatabaseBytes)
	if err != nil {
		return readmodel.Totals{}, fmt.Errorf("read totals: %w", err)
	}
	return t, nil
}

// ActiveCustomers counts the customers with a reading in the last hour. It looks at every customer's state.
func (d *Dashboard) ActiveCustomers(ctx context.Context) (n int64, err error) {
	err = d.pool.QueryRow(ctx, `
SELECT count(*)
  FROM customer_state
 WHERE event_timestamp >= now() - interval '60 minutes'`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count active customers: %w", err)
	}
	return n, nil
}

const (
	anomalyColumns = `anomaly_id, customer_id, heart_rate, anomaly_type, event_timestamp, ingestion_timestamp, kafka_partition, kafka_offset`

	beforeCursor = `(@before::timestamptz IS NULL OR event_timestamp <= @before)
   AND (@before::timestamptz IS NULL OR (event_timestamp, anomaly_id) < (@before, @before_id))`

	newestPage = `ORDER BY event_timestamp DESC, anomaly_id DESC LIMIT @limit`

	anomaliesQuery = `
SELECT ` + anomalyColumns + `
  FROM heartbeat_anomalies
 WHERE ` + beforeCursor + `
   AND (@type = '' OR anomaly_type = @type)
 ` + newestPage

	// The index of a customer's anomalies has them in the order of time within each type. Without a type, the planner would
	// rather go through everybody's anomalies until it has found enough of the customer.
	customerAnomaliesQuery = `
SELECT anomaly.*
  FROM unnest(CASE WHEN @type = '' THEN ARRAY['BRADYCARDIA', 'TACHYCARDIA', 'INVALID'] ELSE ARRAY[@type] END) AS one (type),
       LATERAL (SELECT ` + anomalyColumns + `
                  FROM heartbeat_anomalies
                 WHERE customer_id = @customer AND anomaly_type = one.type AND ` + beforeCursor + `
                 ` + newestPage + `) AS anomaly
 ` + newestPage
)

// Anomalies returns a page of anomalies, newest first.
func (d *Dashboard) Anomalies(ctx context.Context, query readmodel.AnomalyQuery) ([]readmodel.Anomaly, error) {
	var before any
	if !query.Before.IsZero() {
		before = query.Before
	}
	statement := anomaliesQuery
	if query.Customer != "" {
		statement = customerAnomaliesQuery
	}
	rows, err := d.pool.Query(ctx, statement, pgx.NamedArgs{
		"before": before, "before_id": query.BeforeID,
		"customer": query.Customer, "type": query.Type, "limit": query.Limit,
	})
	return collect[readmodel.Anomaly](rows, err, "read anomalies")
}

// Fleet returns the newest stored reading of every customer, in no order. Their times are those used: a clock that was ahead must
// not hide the next readings.
func (d *Dashboard) Fleet(ctx context.Context) ([]heartbeat.Reading, error) {
	rows, err := d.pool.Query(ctx, `
SELECT customer_id, heart_rate, class, least(event_timestamp, time_used), last_seen_at FROM customer_state`)
	if err != nil {
		return nil, fmt.Errorf("read customer states: %w", err)
	}
	var readings []heartbeat.Reading
	var customer readmodel.Customer
	scan := []any{&customer.ID, &customer.BPM, &customer.Class, &customer.EventTime, &customer.SeenTime}
	_, err = pgx.ForEachRow(rows, scan, func() error {
		id, err := heartbeat.ParseCustomerID(customer.ID)
		if err != nil {
			return err
		}
		class, bpm := heartbeat.Classify(float64(customer.BPM))
		readings = append(readings, heartbeat.Reading{Customer: id, Class: class, BPM: bpm, Time: customer.EventTime.UTC()})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read customer states: %w", err)
	}
	return readings, nil
}

// Silences returns who is silent, and since when.
func (d *Dashboard) Silences(ctx context.Context) (map[heartbeat.CustomerID]time.Time, error) {
	rows, err := d.pool.Query(ctx, `SELECT customer_id, since FROM silences`)
	if err != nil {
		return nil, fmt.Errorf("read silences: %w", err)
	}
	silent := map[heartbeat.CustomerID]time.Time{}
	var name string
	var since time.Time
	_, err = pgx.ForEachRow(rows, []any{&name, &since}, func() error {
		id, err := heartbeat.ParseCustomerID(name)
		silent[id] = since
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read silences: %w", err)
	}
	return silent, nil
}

// Customer returns the newest stored reading of one customer, or readmodel.ErrNotFound.
func (d *Dashboard) Customer(ctx context.Context, id string) (readmodel.Customer, error) {
	rows, err := d.pool.Query(ctx, `
SELECT customer_id, heart_rate, class, event_timestamp, last_seen_at, device_id, battery, contact, steps
  FROM customer_state
 WHERE customer_id = @id`, pgx.NamedArgs{"id": id})
	return collectOne[readmodel.Customer](rows, err, "read customer")
}

// collect reads the columns of all rows into the fields of T in order.
func collect[T any](rows pgx.Rows, err error, doing string) ([]T, error) {
	if err == nil {
		var all []T
		if all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[T]); err == nil {
			return all, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", doing, err)
}

func collectOne[T any](rows pgx.Rows, err error, doing string) (T, error) {
	var one T
	if err == nil {
		one, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[T])
	}
	switch {
	case err == nil:
		return one, nil
	case errors.Is(err, pgx.ErrNoRows):
		return one, readmodel.ErrNotFound
	default:
		return one, fmt.Errorf("%s: %w", doing, err)
	}
}
