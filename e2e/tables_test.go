package e2e_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// tables are the rows of the database.
type tables struct {
	records         map[recordID]storedRecord
	duplicates      []recordID
	alerts          map[recordID]alert
	duplicateAlerts []recordID // of alerts
	keys            map[recordID][32]byte
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
	have := tables{records: map[recordID]storedRecord{}, alerts: map[recordID]alert{}, keys: map[recordID][32]byte{}}
	scan(t, pool, `SELECT kafka_topic, kafka_partition, kafka_offset, customer_id, heart_rate, event_timestamp FROM heartbeat_records`,
		func(rows pgx.Rows) (err error) {
			what := storedRecord{outcome: outcome{Class: "NORMAL"}}
			id, err := scanReading(rows, &what)
			have.add(id, what)
			return err
		})
	scan(t, pool, `SELECT kafka_topic, kafka_partition, kafka_offset, customer_id, heart_rate, event_timestamp, anomaly_type, raw_message FROM heartbeat_anomalies`,
		func(rows pgx.Rows) error {
			var what storedRecord
			var raw string
			id, err := scanReading(rows, &what, &what.Class, &raw)
			what.Digest = sha256.Sum256([]byte(raw))
			have.add(id, what)
			return err
		})
	have.readDeadLetters(t, pool)
	have.readAlerts(t, pool)
	return have
}

func scanReading(rows pgx.Rows, what *storedRecord, more ...any) (id recordID, err error) {
	var when time.Time
	err = rows.Scan(append([]any{&id.Log, &id.Partition, &id.Offset, &what.Customer, &what.BPM, &when}, more...)...)
	what.Micros = when.UnixMicro()
	return id, err
}

func (have *tables) readDeadLetters(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	scan(t, pool, `
SELECT kafka_topic, kafka_partition, kafka_offset, reason, coalesce(customer_id, ''), raw_length, raw_sha256,
       sha256(coalesce(raw_key, '')), raw_length > 65536 OR sha256(coalesce(raw_value, '')) = raw_sha256
  FROM dead_letters
 WHERE replayed_at IS NULL`,
		func(rows pgx.Rows) error {
			var id recordID
			var what storedRecord
			var digest, key []byte
			var kept bool
			err := rows.Scan(&id.Log, &id.Partition, &id.Offset, &what.Reason, &what.Customer, &what.Length, &digest, &key, &kept)
			if err != nil {
				return err
			}
			if !kept {
				t.Errorf("dead letter at %v does not contain the bytes of its digest", id)
			}
			// For other reasons it depends on the fault whether the id could be read.
			if what.Reason != "missing_field" && what.Reason != "wrong_type" && what.Reason != "bad_timestamp" && what.Reason != "timestamp_out_of_range" {
				what.Customer = ""
			}
			what.Digest, have.keys[id] = [32]byte(digest), [32]byte(key)
			have.add(id, what)
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
			var id recordID
			var a alert
			err := rows.Scan(&id.Log, &id.Partition, &id.Offset, &a.Name, &a.BPM, &a.Unit)
			if _, ok := have.alerts[id]; ok {
				have.duplicateAlerts = append(have.duplicateAlerts, id)
			}
			have.alerts[id] = a
			return err
		})
}

func (have *tables) add(id recordID, what storedRecord) {
	if _, ok := have.records[id]; ok {
		have.duplicates = append(have.duplicates, id)
	}
	have.records[id] = what
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
