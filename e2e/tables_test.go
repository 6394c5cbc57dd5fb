package e2e_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// tables are what the database holds.
type tables struct {
	facts   map[place]fact
	doubled []place
	alerts  map[place]alert
	repeats []place // of alerts
	keys    map[place][32]byte
}

// alert is a row of pipeline_metrics that names an anomaly.
type alert struct {
	Name string
	BPM  float64
	Unit string
}

// readTables reads every row of the database that comes from a record.
func readTables(t testing.TB, pool *pgxpool.Pool) tables {
	t.Helper()
	have := tables{facts: map[place]fact{}, alerts: map[place]alert{}, keys: map[place][32]byte{}}
	scan(t, pool, `SELECT kafka_topic, kafka_partition, kafka_offset, customer_id, heart_rate, event_timestamp FROM heartbeat_records`,
		func(rows pgx.Rows) (err error) {
			what := fact{verdict: verdict{Class: "NORMAL"}}
			at, err := scanReading(rows, &what)
			have.add(at, what)
			return err
		})
	scan(t, pool, `SELECT kafka_topic, kafka_partition, kafka_offset, customer_id, heart_rate, event_timestamp, anomaly_type, raw_message FROM heartbeat_anomalies`,
		func(rows pgx.Rows) error {
			var what fact
			var raw string
			at, err := scanReading(rows, &what, &what.Class, &raw)
			what.Digest = sha256.Sum256([]byte(raw))
			have.add(at, what)
			return err
		})
	have.readDeadLetters(t, pool)
	have.readAlerts(t, pool)
	return have
}

func scanReading(rows pgx.Rows, what *fact, more ...any) (at place, err error) {
	var when time.Time
	err = rows.Scan(append([]any{&at.Log, &at.Partition, &at.Offset, &what.Customer, &what.BPM, &when}, more...)...)
	what.Micros = when.UnixMicro()
	return at, err
}

func (have *tables) readDeadLetters(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	scan(t, pool, `
SELECT kafka_topic, kafka_partition, kafka_offset, reason, coalesce(customer_id, ''), raw_length, raw_sha256,
       sha256(coalesce(raw_key, '')), raw_length > 65536 OR sha256(coalesce(raw_value, '')) = raw_sha256
  FROM dead_letters
 WHERE replayed_at IS NULL`,
		func(rows pgx.Rows) error {
			var at place
			var what fact
			var digest, key []byte
			var kept bool
			err := rows.Scan(&at.Log, &at.Partition, &at.Offset, &what.Reason, &what.Customer, &what.Length, &digest, &key, &kept)
			if err != nil {
				return err
			}
			if !kept {
				t.Errorf("dead letter at %v does not keep the bytes that its digest is of", at)
			}
			// Before these reasons it depends on the fault whether the id could be read.
			if what.Reason != "missing_field" && what.Reason != "wrong_type" && what.Reason != "bad_timestamp" && what.Reason != "timestamp_out_of_range" {
				what.Customer = ""
			}
			what.Digest, have.keys[at] = [32]byte(digest), [32]byte(key)
			have.add(at, what)
			return nil
		})
}

func (have *tables) readAlerts(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	scan(t, pool, `
SELECT coalesce(kafka_topic, ''), coalesce(kafka_partition, -1), coalesce(kafka_offset, -1), metric_name, metric_value, metric_unit
  FROM pipeline_metrics
 WHERE metric_name LIKE 'alert%'`,
		func(rows pgx.Rows) error {
			var at place
			var a alert
			err := rows.Scan(&at.Log, &at.Partition, &at.Offset, &a.Name, &a.BPM, &a.Unit)
			if _, ok := have.alerts[at]; ok {
				have.repeats = append(have.repeats, at)
			}
			have.alerts[at] = a
			return err
		})
}

func (have *tables) add(at place, what fact) {
	if _, ok := have.facts[at]; ok {
		have.doubled = append(have.doubled, at)
	}
	have.facts[at] = what
}

// scan calls row for each row that the query gives.
func scan(t testing.TB, pool *pgxpool.Pool, query string, row func(pgx.Rows) error) {
	t.Helper()
	rows, err := pool.Query(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// value returns the single value that a query gives.
func value[T any](t testing.TB, pool *pgxpool.Pool, query string, arguments ...any) T {
	t.Helper()
	var v T
	if err := pool.QueryRow(t.Context(), query, arguments...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}
