package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/postgres/partition"
)

// Topic is the topic of tests.
const Topic = "heartbeat-events"

// Noon is when the readings of tests begin. It is long past, so they lie in the history partition.
var Noon = time.Date(2026, 2, 20, 12, 0, 0, 123456000, time.UTC)

// Partition is the partition of tests.
var Partition = pipeline.Partition{Topic: Topic, TopicID: [16]byte{1}, Number: 2}

// NewStore returns a Store on a database of its own.
func NewStore(t testing.TB) (*ingest.Store, *pgxpool.Pool) {
	t.Helper()
	pool := Database(t)
	return ingest.NewStore(pool, "test"), pool
}

// MustClaim claims a partition.
func MustClaim(t testing.TB, store *ingest.Store, partition pipeline.Partition, start int64) pipeline.Claim {
	t.Helper()
	claim, err := store.Claim(t.Context(), partition, start)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return claim
}

// MustWrite writes a batch.
func MustWrite(t testing.TB, store *ingest.Store, claim pipeline.Claim, batch *pipeline.Batch) {
	t.Helper()
	if err := store.Write(t.Context(), claim, batch); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

// WantKind checks the kind of an error.
func WantKind(t testing.TB, err error, want pipeline.Kind) {
	t.Helper()
	if err == nil || pipeline.KindOf(err) != want {
		t.Errorf("error is %v of kind %d, want kind %d", err, pipeline.KindOf(err), want)
	}
}

// Reading returns a reading as the decoder would have made it.
func Reading(offset int64, customer heartbeat.CustomerID, rate float64, at time.Time) pipeline.Reading {
	class, bpm := heartbeat.Classify(rate)
	raw := fmt.Appendf(nil, `{"customer_id":"%s","heart_rate":%g,"timestamp":"%s"}`, customer, rate, at.Format(time.RFC3339Nano))
	return pipeline.Reading{
		Reading: heartbeat.Reading{Customer: customer, Class: class, BPM: bpm, Time: at}, Offset: offset, Raw: raw,
	}
}

// Readings returns n normal readings from an offset on, a second apart.
func Readings(from, n int64) []pipeline.Reading {
	all := make([]pipeline.Reading, 0, n)
	for offset := from; offset < from+n; offset++ {
		at := Noon.Add(time.Duration(offset) * time.Second)
		all = append(all, Reading(offset, heartbeat.CustomerID(1+offset*7919%10_000), float64(40+offset%141), at))
	}
	return all
}

// BatchOf returns the batch that stores readings which follow one another.
func BatchOf(readings []pipeline.Reading) *pipeline.Batch {
	from := readings[0].Offset
	to := readings[len(readings)-1].Offset + 1
	return &pipeline.Batch{From: from, To: to, Epoch: 3, StateFrom: from, Readings: readings}
}

// DeadLetter returns a dead letter.
func DeadLetter(offset int64, reason heartbeat.Reason, detail string, value []byte) heartbeat.DeadLetter {
	return heartbeat.DeadLetter{
		Rejection: heartbeat.Rejection{Reason: reason, Detail: detail}, Offset: offset, Timestamp: Noon,
		Value: value, Length: len(value), SHA256: sha256.Sum256(value),
	}
}

// Count counts the rows of a table.
func Count(t testing.TB, pool *pgxpool.Pool, table string) int {
	t.Helper()
	return Value[int](t, pool, "SELECT Count(*) FROM "+table)
}

// NewStoreOn returns a Store on a pool.
func NewStoreOn(pool *pgxpool.Pool) *ingest.Store { return ingest.NewStore(pool, "test") }

// WantNothingTwice holds the rows against the contract: no offset of a log is stored twice.
func WantNothingTwice(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	WantRows(t, pool, `
SELECT Count(*)
  FROM (SELECT FROM (SELECT kafka_topic, kafka_partition, kafka_offset FROM heartbeat_records
                     UNION ALL SELECT kafka_topic, kafka_partition, kafka_offset FROM heartbeat_anomalies
                     UNION ALL SELECT kafka_topic, kafka_partition, kafka_offset FROM dead_letters WHERE replayed_at IS NULL) AS stored
         GROUP BY kafka_topic, kafka_partition, kafka_offset
        HAVING Count(*) > 1) AS twice`, `0`)
}

// LockTable keeps everybody from a table until it is released.
func LockTable(t testing.TB, pool *pgxpool.Pool, table string) (release func()) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() {
		if err := tx.Rollback(context.Background()); err != nil {
			t.Errorf("release lock: %v", err)
		}
	})
	t.Cleanup(release)
	return release
}

// AwaitWaiters returns once n sessions wait for a lock in a statement.
func AwaitWaiters(t testing.TB, pool *pgxpool.Pool, statement string, n int) {
	t.Helper()
	Await(t, statement+" to wait for a lock", func() bool {
		return Value[int](t, pool, `
SELECT Count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'`, statement) == n
	})
}

// AwaitNoTransaction returns once no session of the database has anything to commit.
func AwaitNoTransaction(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	Await(t, "transactions to end", func() bool {
		return Value[int](t, pool, `
SELECT Count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL`) == 0
	})
}

// WantRows compares the rows of a query, each as its values with blanks between them.
func WantRows(t testing.TB, pool *pgxpool.Pool, sql string, want ...string) {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		values, err := row.Values()
		words := make([]string, len(values))
		for i, value := range values {
			words[i] = text(value)
		}
		return strings.Join(words, " "), err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", strings.TrimSpace(sql), diff)
	}
}

func text(value any) string {
	switch value := value.(type) {
	case time.Time:
		return value.UTC().Format(time.RFC3339Nano)
	case json.Marshaler: // numeric
		b, _ := value.MarshalJSON()
		return string(b)
	default:
		return fmt.Sprint(value)
	}
}

// MustMaintain maintains the partitions of a database once.
func MustMaintain(t testing.TB, pool *pgxpool.Pool, retention time.Duration) {
	t.Helper()
	if err := partition.New(pool, retention).Maintain(t.Context()); err != nil {
		t.Fatalf("Maintain: %v", err)
	}
}

// WantSummaryIsExact compares vw_pipeline_summary with the rows.
func WantSummaryIsExact(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	WantRows(t, pool, `
SELECT metric, total - CASE metric WHEN 'valid_records' THEN (SELECT Count(*) FROM heartbeat_records)
                                   WHEN 'anomaly_records' THEN (SELECT Count(*) FROM heartbeat_anomalies) END
  FROM vw_pipeline_summary ORDER BY metric`, `anomaly_records 0`, `valid_records 0`)
}
