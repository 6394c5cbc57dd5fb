package ingest_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgtest"
)

func TestClaimBeginsAtStartAndGoesOnWhereTheLastOneStored(t *testing.T) {
	t.Parallel()
	store, _ := pgtest.NewStore(t)
	first := pgtest.MustClaim(t, store, pgtest.Partition, 40)
	want := pipeline.Claim{Partition: pgtest.Partition, Log: topic, Fence: 1, Next: 40, Epoch: -1, StateFrom: 40}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("first claim (-want +got):\n%s", diff)
	}
	batch := pgtest.BatchOf(pgtest.Readings(40, 10))
	batch.StateFrom = 45
	pgtest.MustWrite(t, store, first, batch)

	second := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	want = pipeline.Claim{Partition: pgtest.Partition, Log: topic, Fence: 2, Next: 50, Epoch: 3, StateFrom: 45, Idle: second.Idle}
	if diff := cmp.Diff(want, second); diff != "" {
		t.Errorf("second claim (-want +got):\n%s", diff)
	}
	if _, err := store.Position(t.Context(), first); pipeline.KindOf(err) != pipeline.Fenced {
		t.Errorf("Position of a claim that is over: %v, want kind Fenced", err)
	}
	if next, err := store.Position(t.Context(), second); next != 50 || err != nil {
		t.Errorf("Position is %d, %v; want 50", next, err)
	}
}

func TestClaimsAtOnceGetFencesOfTheirOwn(t *testing.T) {
	t.Parallel()
	store, _ := pgtest.NewStore(t)
	const claimers = 8
	fences := make([]int64, claimers)
	var group sync.WaitGroup
	for i := range fences {
		group.Go(func() {
			claim, err := store.Claim(t.Context(), pgtest.Partition, 0)
			if err != nil {
				t.Error(err)
			}
			fences[i] = claim.Fence
		})
	}
	group.Wait()
	seen := map[int64]bool{}
	for _, fence := range fences {
		if seen[fence] {
			t.Errorf("fence %d was given twice: %v", fence, fences)
		}
		seen[fence] = true
	}
}

// A batch that is being stored while somebody claims the partition is either in the claim's position or never stored.
func TestClaimWaitsForTheBatchUnderWay(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	old := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	release := pgtest.LockTable(t, pool, "heartbeat_records")

	written := make(chan error, 1)
	go func() { written <- store.Write(t.Context(), old, pgtest.BatchOf(pgtest.Readings(0, 10))) }()
	pgtest.AwaitWaiters(t, pool, "COPY heartbeat_records", 1)
	claimed := make(chan pipeline.Claim, 1)
	go func() { claimed <- pgtest.MustClaim(t, store, pgtest.Partition, 0) }()
	pgtest.AwaitWaiters(t, pool, "UPDATE ingest_progress", 1)

	release()
	if err := <-written; err != nil {
		t.Fatalf("Write: %v", err)
	}
	if claim := <-claimed; claim.Next != 10 {
		t.Errorf("the claim goes on at %d, want 10", claim.Next)
	}
	pgtest.WantKind(t, store.Write(t.Context(), old, pgtest.BatchOf(pgtest.Readings(10, 10))), pipeline.Stale)
	if n := pgtest.Count(t, pool, "heartbeat_records"); n != 10 {
		t.Errorf("%d records, want 10", n)
	}
}

// A process stopped in the middle of a transaction answers keep-alives, and no timeout of the server applies to it.
// It must not keep others from the partition, and its writes after it resumes must have no effect.
func TestClaimTerminatesAStoppedWriter(t *testing.T) {
	t.Parallel()
	for _, behind := range []string{"move_progress", "copy_records"} {
		t.Run(behind, func(t *testing.T) {
			t.Parallel()
			terminatesAStoppedWriter(t, behind)
		})
	}
}

func terminatesAStoppedWriter(t *testing.T, behind string) {
	t.Helper()
	_, pool := pgtest.NewStore(t)
	proxy := newProxy(t, pool)
	stopped := proxy.store(t)
	old := pgtest.MustClaim(t, stopped, pgtest.Partition, 0)
	proxy.at("\x00"+behind+"\x00", freezeBehind)
	ctx, cancel := context.WithCancel(t.Context())
	written := make(chan error, 1)
	go func() { written <- stopped.Write(ctx, old, pgtest.BatchOf(pgtest.Readings(0, 10))) }()
	<-proxy.frozen
	pgtest.Await(t, "the transaction to begin", func() bool {
		return pgtest.Value[int](t, pool, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'ClientRead' AND backend_xid IS NOT NULL`) == 1
	})

	store := pgtest.NewStoreOn(pool)
	store.SetClaimTimeout(100 * time.Millisecond)
	var claim pipeline.Claim
	pgtest.Await(t, "the claim", func() bool {
		var err error
		claim, err = store.Claim(t.Context(), pgtest.Partition, 0)
		if err != nil && pipeline.KindOf(err) != pipeline.Transient {
			t.Fatal(err)
		}
		return err == nil
	})
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(0, 20)))

	proxy.thaw()
	if err := <-written; pipeline.KindOf(err) != pipeline.OutcomeUnknown {
		t.Errorf("the writer that comes back gets %v, want kind OutcomeUnknown", err)
	}
	cancel()
	pgtest.WantRows(t, pool, `SELECT count(*), count(DISTINCT kafka_offset) FROM heartbeat_records`, `20 20`)
}

func TestClaimRefusesAPartitionNumberThatRowsCannotHold(t *testing.T) {
	t.Parallel()
	store, _ := pgtest.NewStore(t)
	far := pgtest.Partition
	far.Number = 1 << 15
	_, err := store.Claim(t.Context(), far, 0)
	pgtest.WantKind(t, err, pipeline.Fatal)
}
