package ingest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/repeat"
)

// writeIDs writes a batch of one skipped record for each id, after which the window holds a number of them.
func writeIDs(t *testing.T, store *ingest.Store, claim *pipeline.Claim, held int, ids ...int) {
	t.Helper()
	batch := &pipeline.Batch{From: claim.Next, To: claim.Next + int64(len(ids)), Epoch: -1, Skipped: int64(len(ids))}
	batch.Repeats = pipeline.Repeats{Entered: entries(ids...), Held: held}
	pgtest.MustWrite(t, store, *claim, batch)
	claim.Next = batch.To
}

func entries(ids ...int) (entries []repeat.Entry) {
	for _, id := range ids {
		entries = append(entries, repeat.Entry{ID: heartbeat.KeyedRecordID("device", "key", id, nil), Time: 1_700_000_000_000 + int64(id)})
	}
	return entries
}

func wantWindow(t *testing.T, store *ingest.Store, claim pipeline.Claim, want []repeat.Entry) {
	t.Helper()
	got, err := store.RepeatWindow(t.Context(), claim)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("window (-want +got):\n%s", diff)
	}
}

// The next owner finds the ids that the latest batch left in the window, also where that cuts a row, before and after maintenance.
func TestRepeatWindowIsWhatTheLatestBatchHeld(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	wantWindow(t, store, claim, nil)
	writeIDs(t, store, &claim, 3, 1, 2, 3)
	writeIDs(t, store, &claim, 4, 4)
	writeIDs(t, store, &claim, 3, 5) // two ids have left
	other := pgtest.MustClaim(t, store, pipeline.Partition{Topic: topic, TopicID: pgtest.Partition.TopicID, Number: 1}, 0)
	writeIDs(t, store, &other, 1, 9)
	next := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	for range 2 {
		wantWindow(t, store, next, entries(3, 4, 5))
		wantWindow(t, store, other, entries(9))
		pgtest.MustMaintain(t, pool, 0)
	}
	wantRows(t, pool, "repeat_windows", 4)
	writeIDs(t, store, &next, 2, 6)
	pgtest.MustMaintain(t, pool, 0)
	wantRows(t, pool, "repeat_windows", 3) // of the partition the rows of 5 and 6
	wantWindow(t, store, next, entries(5, 6))
}

func wantRows(t *testing.T, pool *pgxpool.Pool, table string, want int) {
	t.Helper()
	if got := pgtest.Count(t, pool, table); got != want {
		t.Errorf("%s has %d rows, want %d", table, got, want)
	}
}

// Another owner's write changes neither the window nor the dropped repeats.
func TestFencedWriteLeavesTheWindow(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	zombie := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	owner := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	batch := &pipeline.Batch{To: 2, Epoch: -1, Skipped: 2, Repeats: pipeline.Repeats{Entered: entries(1), Held: 1, Dropped: []int64{1}}}
	pgtest.WantKind(t, store.Write(t.Context(), zombie, batch), pipeline.Stale)
	wantWindow(t, store, owner, nil)
	wantRows(t, pool, "repeated_records", 0)
}

// A log that begins again has a window of its own.
func TestNewLogHasAnEmptyWindow(t *testing.T) {
	t.Parallel()
	store, _ := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	writeIDs(t, store, &claim, 2, 1, 2)
	truncated, err := store.Record(t.Context(), claim, pipeline.Incident{Kind: pipeline.LogTruncated, From: 2, To: 1})
	if err != nil {
		t.Fatal(err)
	}
	wantWindow(t, store, truncated, nil)
}

// The offsets of repeats are there for whoever replays the log, and outlive the readings by a week.
func TestRepeatsAreListedUntilTheyExpire(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	batch := &pipeline.Batch{To: 5, Epoch: -1, Skipped: 5, Repeats: pipeline.Repeats{Dropped: []int64{1, 3, 4}}}
	pgtest.MustWrite(t, store, claim, batch)
	got, err := store.Repeated(t.Context(), claim, 1, 4)
	if diff := cmp.Diff(map[int64]bool{1: true, 3: true}, got); err != nil || diff != "" {
		t.Errorf("repeats from 1 to 3 (-want +got), error %v:\n%s", err, diff)
	}
	const retention = 24 * time.Hour
	for i, age := range []time.Duration{retention + 6*24*time.Hour, retention + 8*24*time.Hour} {
		pgtest.Exec(t, pool, fmt.Sprintf(`UPDATE repeated_records SET recorded_at = now() - interval '%d seconds' WHERE kafka_offset = 1`, int(age.Seconds())))
		pgtest.MustMaintain(t, pool, retention)
		wantRows(t, pool, "repeated_records", 3-i)
	}
}
