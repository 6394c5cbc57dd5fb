package query

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/readmodel"
)

// Readings reads stored readings for an export. It may be shared.
//
// Each statement is a transaction of its own, so no snapshot lasts longer than a page of a customer or a day of the fleet and VACUUM goes on
// beside an export of years. Readings are only ever added, and each lies in one page and one day: what was stored when an export began is
// read once; of what is stored meanwhile, a part.
type Readings struct {
	pool *pgxpool.Pool
}

// NewReadings returns Readings on a pool, which stays the caller's to close.
func NewReadings(pool *pgxpool.Pool) *Readings { return &Readings{pool} }

// Retention goes by the partitions of each table, and the minutes go with the normal readings: there may be older anomalies.
const daysQuery = `
SELECT DISTINCT date_bin('1 day', at, 'epoch') AS day
  FROM (SELECT minute AS at
          FROM fleet_minute
         WHERE minute >= date_bin('1 minute', @from, 'epoch') AND minute < @to
        UNION ALL
        SELECT event_timestamp
          FROM heartbeat_anomalies
         WHERE event_timestamp >= @from AND event_timestamp < least(@to, (SELECT min(minute) FROM fleet_minute))) AS stored
 ORDER BY day`

// Days returns the days (UTC) that have a reading of any customer from one time on and before another.
func (r *Readings) Days(ctx context.Context, from, to time.Time) ([]time.Time, error) {
	rows, err := r.pool.Query(ctx, daysQuery, pgx.NamedArgs{"from": from, "to": to})
	var days []time.Time
	if err == nil {
		days, err = pgx.CollectRows(rows, pgx.RowTo[time.Time])
	}
	if err != nil {
		return nil, fmt.Errorf("list days with readings: %w", err)
	}
	return days, nil
}

// Known reports whether there is a reading of a customer.
func (r *Readings) Known(ctx context.Context, customer string) (known bool, err error) {
	err = r.pool.QueryRow(ctx, `
SELECT EXISTS (SELECT FROM customer_state WHERE customer_id = @customer)
    OR EXISTS (SELECT FROM heartbeat_records WHERE customer_id = @customer)
    OR EXISTS (SELECT FROM heartbeat_anomalies WHERE customer_id = @customer)`, pgx.NamedArgs{"customer": customer}).Scan(&known)
	if err != nil {
		return false, fmt.Errorf("look up %s: %w", customer, err)
	}
	return known, nil
}

// Cohort returns the customers who are in a cohort now.
func (r *Readings) Cohort(ctx context.Context, cohort string) ([]string, error) {
	rows, err := r.pool.Query(ctx, `
SELECT customer_id
  FROM (SELECT DISTINCT ON (customer_id) customer_id, cohort
          FROM cohort_members
         WHERE effective_from <= now()
         ORDER BY customer_id, effective_from DESC) AS current
 WHERE cohort = @cohort
 ORDER BY customer_id`, pgx.NamedArgs{"cohort": cohort})
	var members []string
	if err == nil {
		members, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		return nil, fmt.Errorf("list members of cohort %s: %w", cohort, err)
	}
	return members, nil
}

const (
	recordColumns  = `customer_id, heart_rate::integer, event_timestamp, 'NORMAL'::text COLLATE "C" AS class, kafka_topic, kafka_partition::integer, kafka_offset`
	anomalyReading = `customer_id, heart_rate, event_timestamp, anomaly_type, kafka_topic, kafka_partition, kafka_offset`

	pageOf = `
 WHERE customer_id = @customer AND event_timestamp >= @from AND event_timestamp < @to
   AND (event_timestamp, kafka_topic, kafka_partition, kafka_offset) > (@from, @topic, @partition, @offset)
 ORDER BY event_timestamp, kafka_topic, kafka_partition, kafka_offset
 LIMIT @limit`

	pageQuery = `
SELECT *
  FROM ((SELECT ` + recordColumns + ` FROM heartbeat_records` + pageOf + `)
        UNION ALL
        (SELECT ` + anomalyReading + ` FROM heartbeat_anomalies` + pageOf + `)) AS reading
 ORDER BY event_timestamp, kafka_topic, kafka_partition, kafka_offset
 LIMIT @limit`
)

// Page returns the next readings of one customer. Choose From and To within a day: a page looks into each table partition between them.
func (r *Readings) Page(ctx context.Context, page readmodel.Page) ([]readmodel.Reading, error) {
	after := readmodel.Reading{EventTime: page.From, Partition: -1}
	if page.After != nil {
		after = *page.After
	}
	// A plan for these very times looks into the table partitions between them alone; a prepared one would lock all.
	rows, err := r.pool.Query(ctx, pageQuery, pgx.QueryExecModeDescribeExec, pgx.QueryResultFormats{pgx.BinaryFormatCode}, pgx.NamedArgs{
		"customer": page.Customer, "from": after.EventTime, "to": page.To, "topic": after.Topic, "partition": after.Partition, "offset": after.Offset,
		"limit": page.Limit,
	})
	readings := make([]readmodel.Reading, 0, page.Limit)
	if err == nil {
		err = visitReadings(rows, func(reading *readmodel.Reading) error {
			readings = append(readings, *reading)
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("read readings of %s: %w", page.Customer, err)
	}
	return readings, nil
}

const dayOf = `
 WHERE event_timestamp >= @from AND event_timestamp < @to AND (@customers::text[] IS NULL OR customer_id = ANY (@customers))`

const dayQuery = `
SELECT *
  FROM (SELECT ` + recordColumns + ` FROM heartbeat_records` + dayOf + `
        UNION ALL
        SELECT ` + anomalyReading + ` FROM heartbeat_anomalies` + dayOf + `) AS reading
 ORDER BY kafka_partition, customer_id, event_timestamp, kafka_topic, kafka_offset`

// Day calls visit for each reading from one time on and before another, of some customers or, if nil, of all, in order of partition, customer
// and event time. The server sorts: choose a span of a day at most. The reading is visit's until it returns.
func (r *Readings) Day(ctx context.Context, customers []string, from, to time.Time, visit func(*readmodel.Reading) error) error {
	err := pgx.BeginTxFunc(ctx, r.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		// The sort of a large day, and a slow reader of the rows, take as long as they take.
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, dayQuery, pgx.QueryExecModeDescribeExec, pgx.QueryResultFormats{pgx.BinaryFormatCode},
			pgx.NamedArgs{"customers": customers, "from": from, "to": to})
		if err != nil {
			return err
		}
		return visitReadings(rows, visit)
	})
	if err != nil {
		return fmt.Errorf("read readings of %s: %w", from.Format(time.DateOnly), err)
	}
	return nil
}

// visitReadings reads the rows as they come: a text that repeats is allocated once.
func visitReadings(rows pgx.Rows, visit func(*readmodel.Reading) error) error {
	defer rows.Close()
	var r readmodel.Reading
	for rows.Next() {
		row := rows.RawValues()
		repeated(&r.Customer, row[0])
		r.BPM = int32(binary.BigEndian.Uint32(row[1]))
		r.EventTime = timestampOf(row[2])
		repeated(&r.Class, row[3])
		repeated(&r.Topic, row[4])
		r.Partition = int32(binary.BigEndian.Uint32(row[5]))
		r.Offset = int64(binary.BigEndian.Uint64(row[6]))
		if err := visit(&r); err != nil {
			return err
		}
	}
	return rows.Err()
}

func repeated(text *string, value []byte) {
	if *text != string(value) {
		*text = string(value)
	}
}

// postgresEpoch is where the server's timestamps begin.
var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func timestampOf(value []byte) time.Time {
	return postgresEpoch.Add(time.Duration(int64(binary.BigEndian.Uint64(value))) * time.Microsecond)
}
