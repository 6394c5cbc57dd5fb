package postgres_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
)

const topic = "heartbeat-events"

// noon is when the readings of tests begin. It is long past, so they lie in the history partition.
var noon = time.Date(2026, 2, 20, 12, 0, 0, 123456000, time.UTC)

var partition = pipeline.Partition{Topic: topic, TopicID: [16]byte{1}, Number: 2}

// newStore returns a Store on a database of its own.
func newStore(t testing.TB) (*postgres.Store, *pgxpool.Pool) {
	t.Helper()
	pool := pgtest.Database(t)
	return postgres.NewStore(pool, "test"), pool
}

func mustClaim(t testing.TB, store *postgres.Store, partition pipeline.Partition, start int64) pipeline.Claim {
	t.Helper()
	claim, err := store.Claim(t.Context(), partition, start)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return claim
}

func mustWrite(t testing.TB, store *postgres.Store, claim pipeline.Claim, batch *pipeline.Batch) {
	t.Helper()
	if err := store.Write(t.Context(), claim, batch); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

func wantKind(t testing.TB, err error, want pipeline.Kind) {
	t.Helper()
	if err == nil || pipeline.KindOf(err) != want {
		t.Errorf("error is %v of kind %d, want kind %d", err, pipeline.KindOf(err), want)
	}
}

// reading returns a reading as the decoder would have made it.
func reading(offset int64, customer heartbeat.CustomerID, rate float64, at time.Time) pipeline.Reading {
	class, bpm := heartbeat.Classify(rate)
	raw := fmt.Appendf(nil, `{"customer_id":"%s","heart_rate":%g,"timestamp":"%s"}`, customer, rate, at.Format(time.RFC3339Nano))
	return pipeline.Reading{
		Reading: heartbeat.Reading{Customer: customer, Class: class, BPM: bpm, Time: at}, Offset: offset, Raw: raw,
	}
}

// readings returns n normal readings from an offset on, a second apart.
func readings(from, n int64) []pipeline.Reading {
	all := make([]pipeline.Reading, 0, n)
	for offset := from; offset < from+n; offset++ {
		at := noon.Add(time.Duration(offset) * time.Second)
		all = append(all, reading(offset, heartbeat.CustomerID(1+offset*7919%10_000), float64(40+offset%141), at))
	}
	return all
}

// batchOf returns the batch that stores readings which follow one another.
func batchOf(readings []pipeline.Reading) *pipeline.Batch {
	from := readings[0].Offset
	to := readings[len(readings)-1].Offset + 1
	return &pipeline.Batch{From: from, To: to, Epoch: 3, StateFrom: from, Readings: readings}
}

func deadLetter(offset int64, reason heartbeat.Reason, detail string, value []byte) heartbeat.DeadLetter {
	return heartbeat.DeadLetter{
		Rejection: heartbeat.Rejection{Reason: reason, Detail: detail}, Offset: offset, Timestamp: noon,
		Value: value, Length: len(value), SHA256: sha256.Sum256(value),
	}
}

func count(t testing.TB, pool *pgxpool.Pool, table string) int {
	t.Helper()
	return pgtest.Value[int](t, pool, "SELECT count(*) FROM "+table)
}

func newStoreOn(pool *pgxpool.Pool) *postgres.Store { return postgres.NewStore(pool, "test") }

// wantNothingTwice holds the rows against the contract: no offset of a log is stored twice.
func wantNothingTwice(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	wantRows(t, pool, `
SELECT count(*)
  FROM (SELECT FROM (SELECT kafka_topic, kafka_partition, kafka_offset FROM heartbeat_records
                     UNION ALL SELECT kafka_topic, kafka_partition, kafka_offset FROM heartbeat_anomalies
                     UNION ALL SELECT kafka_topic, kafka_partition, kafka_offset FROM dead_letters WHERE replayed_at IS NULL) AS stored
         GROUP BY kafka_topic, kafka_partition, kafka_offset
        HAVING count(*) > 1) AS twice`, `0`)
}

// lockTable keeps everybody from a table until it is released.
func lockTable(t testing.TB, pool *pgxpool.Pool, table string) (release func()) {
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

// awaitWaiters returns once n sessions wait for a lock in a statement.
func awaitWaiters(t testing.TB, pool *pgxpool.Pool, statement string, n int) {
	t.Helper()
	await(t, statement+" to wait for a lock", func() bool {
		return pgtest.Value[int](t, pool, `
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'`, statement) == n
	})
}

// awaitNoTransaction returns once no session of the database has anything to commit.
func awaitNoTransaction(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	await(t, "transactions to end", func() bool {
		return pgtest.Value[int](t, pool, `
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL`) == 0
	})
}
