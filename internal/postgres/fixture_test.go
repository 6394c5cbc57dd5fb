package postgres_test

import (
	"crypto/sha256"
	"fmt"
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
