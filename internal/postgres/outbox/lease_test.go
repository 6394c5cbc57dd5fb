package outbox_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/outbox"
	"heartbeat/internal/postgres/pgtest"
)

func TestMessagesAboutOneAlarmAreSentInOrder(t *testing.T) {
	t.Parallel()
	f := withAlarm(t)
	first := f.lease("ward")
	if len(first) != 1 {
		t.Fatalf("leased %d messages, want 1", len(first))
	}
	f.apply(f.transition("CUST_00001", alarm.Cleared, alarm.High), f.transition("CUST_00002", alarm.Raised, alarm.High))
	f.settle()
	if other := f.lease("ward"); len(other) != 0 { // a group of both: it tells of the first alarm
		t.Fatalf("%s was leased while an earlier message about its alarm is on its way", inWords(t, other[0].Body))
	}
	f.finish("ward", &first[0], outbox.Attempt{Code: 503, Error: "the receiver answered 503"})
	if other := f.lease("ward"); len(other) != 0 {
		t.Fatal("a message overtook one that waits for its next attempt")
	}
	f.now = f.now.Add(3 * time.Second)
	f.wantSent("ward", "raised: raised, digest of map[cleared:1 raised:1]")
}

func TestKilledProcessIsReplacedAfterItsLease(t *testing.T) {
	t.Parallel()
	f := withAlarm(t)
	first := f.lease("ward")
	f.now = f.now.Add(outbox.Lease - time.Millisecond)
	if early := f.lease("ward"); len(early) != 0 {
		t.Fatal("a lease was taken over before its end")
	}
	f.now = f.now.Add(time.Millisecond)
	second := f.lease("ward")
	if len(first) != 1 || len(second) != 1 || first[0].ID != second[0].ID || string(first[0].Body) != string(second[0].Body) {
		t.Fatalf("leased %v, then %v: want the same message with the same bytes", first, second)
	}
	f.finish("ward", &first[0], outbox.Attempt{Error: "too late"}) // the first process was only suspended
	pgtest.WantRows(t, f.pool, `SELECT state, attempts, error FROM deliveries`, "pending 2 ")
	f.finish("ward", &second[0], outbox.Attempt{Code: 200})
	pgtest.WantRows(t, f.pool, `SELECT state, attempts, code FROM deliveries`, "sent 2 200")
}

func TestGoneDestinationIsDisabledUntilItIsRetried(t *testing.T) {
	t.Parallel()
	f := withAlarm(t)
	first := f.lease("ward")
	f.finish("ward", &first[0], outbox.Attempt{Code: 410, Gone: true, Error: "the receiver answered 410"})
	f.raise("CUST_00002")
	f.settle()
	f.wantSent("ward", "")
	listed, err := f.store.List(t.Context(), "dead", "ward", 10)
	if err != nil || len(listed) != 2 || *listed[1].Code != 410 || listed[0].Error != "the destination is disabled" {
		t.Fatalf("listed %+v, %v; want both as dead", listed, err)
	}
	if count, err := f.store.Retry(t.Context(), uuid.Nil, "ward", f.now); count != 2 || err != nil {
		t.Fatalf("retried %d, %v; want 2", count, err)
	}
	f.wantSent("ward", "raised: raised, raised: raised")
}

func TestHeldMessageIsGivenUpAndListed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.apply(f.transition("CUST_00001", alarm.Raised, alarm.Medium))
	f.pass(0)
	f.pass(10 * time.Second)
	attempts := 0
	for range 20 {
		for _, delivery := range f.lease("ward") {
			attempts++
			f.finish("ward", &delivery, outbox.Attempt{Code: 500, Error: "the receiver answered 500", RetryAfter: time.Hour})
			if again := f.lease("ward"); len(again) != 0 {
				t.Error("sent again at once, though the receiver asked for an hour")
			}
		}
		f.now = f.now.Add(12 * time.Hour)
	}
	pgtest.WantRows(t, f.pool, `SELECT state, attempts, code FROM deliveries`, "dead 7 500")
	if attempts != 7 {
		t.Errorf("%d attempts, want 7", attempts)
	}
}

// Retry-After holds back every message to the destination that asked for it, and those to no other.
func TestDestinationThatAsksForAPauseIsSentNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "destinations: {ward: {log: {}}, record: {log: {}}}\nroutes: [{to: [ward, record]}]")
	f.raise("CUST_00001")
	f.settle()
	f.attempt("ward", outbox.Attempt{Code: 429, RetryAfter: time.Minute, Untaken: true, Error: "the receiver answered 429"})
	ends := f.now.Add(time.Minute)
	f.raise("CUST_00002")
	f.settle()
	f.now = ends.Add(-time.Millisecond)
	f.wantSent("ward", "")
	f.wantSent("record", "raised: raised, raised: raised")
	f.now = ends.Add(time.Millisecond) // the database has microseconds
	f.wantSent("ward", "raised: raised, raised: raised")
}

func TestOldDeliveriesAreDropped(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	pgtest.Exec(t, f.pool, `
INSERT INTO deliveries (delivery_id, destination, type, priority, alarm_ids, raises, body, created_at, next_attempt_at, state, ended_at)
SELECT gen_random_uuid(), 'ward', 'raised', 'low', '{}'::uuid[], 1, '', now() - made.age, now(), made.state, now() - made.ended
  FROM (VALUES (10001, 'sent', interval '32 days', interval '31 days'), (1, 'dead', '31 days', '29 days'), (1, 'pending', '31 days', NULL))
       AS made (count, state, age, ended)
 CROSS JOIN LATERAL generate_series(1, made.count)`)
	if err := f.store.Drop(t.Context(), f.now); err != nil {
		t.Fatal(err)
	}
	pgtest.WantRows(t, f.pool, `SELECT state, count(*) FROM deliveries GROUP BY 1 ORDER BY 1`, "dead 1", "pending 1")
}

func TestAnyNumberOfProcessesRouteAndLeaseOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	for i := range 9 {
		f.raise(fmt.Sprintf("CUST_%05d", i+1))
	}
	var mu sync.Mutex
	leased := map[uuid.UUID]int{}
	var group sync.WaitGroup
	for process := range 6 {
		group.Go(func() {
			for round := range 10 {
				now := f.now.Add(time.Duration(round) * time.Second)
				if _, err := f.store.Route(t.Context(), f.router, f, now); err != nil {
					t.Error(err)
				}
				deliveries, err := f.store.Lease(t.Context(), "ward", fmt.Sprint(process), 100, now)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				for _, delivery := range deliveries {
					leased[delivery.ID]++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	pgtest.WantRows(t, f.pool, `SELECT count(id), count(DISTINCT id) FROM deliveries, unnest(alarm_ids) AS id`, "9 9")
	for id, count := range leased {
		if count != 1 {
			t.Errorf("delivery %s was leased %d times", id, count)
		}
	}
}
