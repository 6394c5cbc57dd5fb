package partition_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/pgtest"
)

func TestReindexMakesIndexesOfFinishedPartitionsSmallerOnce(t *testing.T) {
	t.Parallel()
	p := newReindexFixture(t)
	older, newer := p.hour.Add(-4*time.Hour), p.hour.Add(-time.Hour)
	for _, hour := range []time.Time{pgtest.Noon, older, newer, p.hour, p.hour.Add(time.Hour)} { // history and what is open, too
		p.fill(hour, 600)
	}
	p.fill(p.hour.Add(-2*time.Hour), 10) // too few
	const rowsSQL = `
SELECT md5(string_agg(r::text, ',' ORDER BY customer_id, event_timestamp DESC)) FROM heartbeat_records AS r WHERE customer_id < 'CUST_00050'`
	rows, before := pgtest.Value[string](t, p.pool, rowsSQL), p.indexes()

	p.mustReindex()
	p.wantDone(customerIndex(newer), customerIndex(older))
	after := p.indexes()
	for name := range before {
		rebuilt := name == customerIndex(newer) || name == customerIndex(older)
		if (before[name] != after[name]) != rebuilt {
			t.Errorf("%s was %s and is %s", name, before[name], after[name])
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after))); diff != "" {
		t.Errorf("indexes (-before +after):\n%s", diff)
	}
	if now := pgtest.Value[string](t, p.pool, rowsSQL); now != rows {
		t.Error("queries give other rows than before")
	}

	p.mustReindex()
	p.wantDone()
	if diff := cmp.Diff(after, p.indexes()); diff != "" {
		t.Errorf("a second rebuild changed indexes (-before +after):\n%s", diff)
	}
}

func TestReindexTakesAnomaliesToo(t *testing.T) {
	t.Parallel()
	p := newReindexFixture(t)
	p.tables.SetReindexAbove(16 << 10)
	p.fill(p.hour.Add(-time.Hour), 400)
	p.mustReindex()
	var anomalies int
	for _, done := range p.done {
		if strings.Contains(done.Index, "heartbeat_anomalies_p") {
			anomalies++
		}
	}
	if anomalies != 2 {
		t.Errorf("%d indexes of anomalies were rebuilt, want 2: %v", anomalies, p.done)
	}
}

// A consumer that was away fills the hours that it missed after they were over.
func TestReindexRepeatsWhereMuchWasAdded(t *testing.T) {
	t.Parallel()
	p := newReindexFixture(t)
	hour := p.hour.Add(-3 * time.Hour)
	p.fill(hour, 600)
	p.mustReindex()
	p.wantDone(customerIndex(hour))

	p.fill(hour.Add(20*time.Minute), 60)
	p.mustReindex()
	p.wantDone()

	p.fill(hour.Add(22*time.Minute), 600)
	p.mustReindex()
	p.wantDone(customerIndex(hour))
}

// A writer does not wait for a rebuild, and an interrupted rebuild is repeated.
func TestReindexWaitsForWritersAndNoWriterForIt(t *testing.T) {
	t.Parallel()
	p := newReindexFixture(t)
	hour := p.hour.Add(-time.Hour)
	p.fill(hour, 600)
	before := p.indexes()
	release := p.holdUp(hour)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.tables.Reindex(ctx, p.hour) }()
	pgtest.AwaitWaiters(t, p.pool, "REINDEX", 1)
	p.fill(hour.Add(30*time.Minute), 1) // within the statement_timeout
	pgtest.MustMaintain(t, p.pool, 0)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Reindex ended with %v, want %v", err, context.Canceled)
	}
	pgtest.AwaitWaiters(t, p.pool, "REINDEX", 0)
	p.wantDone()
	if len(p.indexes()) != len(before)+1 {
		t.Fatal("the rebuild that was cut off left nothing behind: there is nothing to test here")
	}

	release()
	p.mustReindex()
	p.wantDone(customerIndex(hour))
	after := p.indexes()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after))); diff != "" {
		t.Errorf("indexes (-before +after):\n%s", diff)
	}
	pgtest.WantRows(t, p.pool, `SELECT count(*) FROM pg_index WHERE NOT indisvalid`, `0`)
	p.fill(hour.Add(40*time.Minute), 1)
	pgtest.WantRows(t, p.pool, `SELECT count(*) FROM heartbeat_records WHERE customer_id = 'CUST_00001'`, `602`)
}

// A rebuild that the server breaks off is a failure that leaves nothing behind.
func TestReindexCleansUpAfterAFailure(t *testing.T) {
	t.Parallel()
	p := newReindexFixture(t)
	hour := p.hour.Add(-time.Hour)
	p.fill(hour, 600)
	before := p.indexes()
	release := p.holdUp(hour)
	ended := make(chan error, 1)
	go func() { ended <- p.tables.Reindex(t.Context(), p.hour) }()
	pgtest.AwaitWaiters(t, p.pool, "REINDEX", 1)
	pgtest.Exec(t, p.pool, `
SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'REINDEX%'`)
	pgtest.AwaitWaiters(t, p.pool, "DROP INDEX", 1) // which waits for the same
	release()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), customerIndex(hour)) {
		t.Errorf("Reindex ended with %v, want an error that names the index", err)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(p.indexes()))); diff != "" {
		t.Errorf("indexes (-before +after):\n%s", diff)
	}
	p.wantDone()
	p.mustReindex()
	p.wantDone(customerIndex(hour))
}

func TestOneProcessReindexesAtATime(t *testing.T) {
	t.Parallel()
	p := newReindexFixture(t)
	p.fill(p.hour.Add(-time.Hour), 600)
	before := p.indexes()
	other, err := p.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Release()
	if _, err := other.Exec(t.Context(), `SELECT pg_advisory_lock($1)`, partition.ReindexLock); err != nil {
		t.Fatal(err)
	}
	p.mustReindex()
	p.wantDone()
	if diff := cmp.Diff(before, p.indexes()); diff != "" {
		t.Errorf("indexes (-before +after):\n%s", diff)
	}
	if _, err := other.Exec(t.Context(), `SELECT pg_advisory_unlock($1)`, partition.ReindexLock); err != nil {
		t.Fatal(err)
	}
	p.mustReindex()
	p.wantDone(customerIndex(p.hour.Add(-time.Hour)))
}

func TestReindexLetsRetentionDropWhatIsDue(t *testing.T) {
	t.Parallel()
	p := newReindexFixture(t)
	older, newer := p.hour.Add(-4*time.Hour), p.hour.Add(-time.Hour)
	p.fill(older, 600)
	p.fill(newer, 600)
	p.tables.OnReindexed = func(done partition.Reindexed) {
		p.done = append(p.done, done)
		pgtest.MustMaintain(t, p.pool, 2*time.Hour)
	}
	p.mustReindex()
	p.wantDone(customerIndex(newer))
	pgtest.WantRows(t, p.pool, `SELECT count(*) FROM heartbeat_records`, `60000`)
}
