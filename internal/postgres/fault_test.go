package postgres_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
)

// storeWith returns a Store on the pool's database whose sessions have a setting of their own.
func storeWith(t testing.TB, pool *pgxpool.Pool, change func(*url.URL)) *postgres.Store {
	t.Helper()
	address, err := url.Parse(pgtest.URL(pool))
	if err != nil {
		t.Fatal(err)
	}
	change(address)
	own, err := postgres.Open(t.Context(), postgres.Options{URL: address.String(), Role: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Close)
	return newStoreOn(own)
}

func setting(name, value string) func(*url.URL) {
	return func(u *url.URL) { u.RawQuery += "&" + name + "=" + value }
}

func TestCommitWithoutAnAnswerIsOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		act  action
		next int64
	}{
		"never arrived": {cutBefore, 0},
		"was done":      {cutAfter, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, pool := newStore(t)
			proxy := newProxy(t, pool)
			far := proxy.store(t)
			claim := mustClaim(t, far, partition, 0)
			batch := batchOf(readings(0, 10))

			proxy.at("\x00commit\x00", test.act)
			wantKind(t, far.Write(t.Context(), claim, batch), pipeline.OutcomeUnknown)

			awaitNoTransaction(t, pool)
			if next, err := store.Position(t.Context(), claim); err != nil || next != test.next {
				t.Errorf("Position is %d, %v; want %d", next, err, test.next)
			}
			if err := far.Write(t.Context(), claim, batch); test.next == 0 && err != nil {
				t.Errorf("Write again: %v", err)
			} else if test.next != 0 {
				wantKind(t, err, pipeline.Stale)
			}
			wantRows(t, pool, `SELECT count(*), count(DISTINCT kafka_offset) FROM heartbeat_records`, `10 10`)
		})
	}
}

// Wherever the piece that is a transaction breaks off, nothing of it is stored and the next attempt is as good as the first.
func TestConnectionCutInTheMiddleStoresNothing(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"begin", "move_progress", "copy_records", "copy_anomalies", "copy_metrics", "add_minute"} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			_, pool := newStore(t)
			proxy := newProxy(t, pool)
			far := proxy.store(t)
			claim := mustClaim(t, far, partition, 0)
			batch := batchOf(append(readings(0, 10), reading(10, 1, 300, noon)))
			proxy.at("\x00"+word+"\x00", cutBefore)
			wantKind(t, far.Write(t.Context(), claim, batch), pipeline.OutcomeUnknown)
			awaitNoTransaction(t, pool)
			if next, err := far.Position(t.Context(), claim); err != nil || next != 0 {
				t.Errorf("Position is %d, %v; want 0", next, err)
			}
			wantRows(t, pool, `SELECT count(*) FROM heartbeat_records`, `0`)
			mustWrite(t, far, claim, batch)
		})
	}
}

// What breaks before the transaction is sent is an outage like any other.
func TestConnectionCutBeforeTheTransactionIsAnOutage(t *testing.T) {
	t.Parallel()
	_, pool := newStore(t)
	proxy := newProxy(t, pool)
	far := proxy.store(t)
	claim := mustClaim(t, far, partition, 0)
	proxy.at("COPY heartbeat_records", cutBefore) // while the session learns its statements
	wantKind(t, far.Write(t.Context(), claim, batchOf(readings(0, 10))), pipeline.Transient)
	mustWrite(t, far, claim, batchOf(readings(0, 10)))
}

func TestCancelledWriteSaysSo(t *testing.T) {
	t.Parallel()
	_, pool := newStore(t)
	store := storeWith(t, pool, setting("pool_max_conns", "1"))
	claim := mustClaim(t, store, partition, 0)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Write(cancelled, claim, batchOf(readings(0, 10))); !errors.Is(err, context.Canceled) || pipeline.KindOf(err) == pipeline.OutcomeUnknown {
		t.Errorf("cancelled before it began: %v of kind %d, want context.Canceled and a known outcome", err, pipeline.KindOf(err))
	}

	mustWrite(t, store, claim, batchOf(readings(0, 10))) // so that the session knows its statements
	next := int64(10)
	for _, table := range []string{"heartbeat_records", "fleet_minute"} {
		release := lockTable(t, pool, table)
		waiting, cancel := context.WithCancel(t.Context())
		written := make(chan error, 1)
		go func() { written <- store.Write(waiting, claim, batchOf(readings(next, 10))) }()
		awaitWaiters(t, pool, table, 1)
		cancel()
		if err := <-written; !errors.Is(err, context.Canceled) || pipeline.KindOf(err) != pipeline.OutcomeUnknown {
			t.Errorf("cancelled while it waits for %s: %v of kind %d, want context.Canceled and OutcomeUnknown", table, err, pipeline.KindOf(err))
		}
		release()
		// The server is told to stop, so it may have done either: the stored progress says which.
		awaitNoTransaction(t, pool)
		stored, err := store.Position(t.Context(), claim)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Write(t.Context(), claim, batchOf(readings(next, 10))); stored == next && err != nil {
			t.Errorf("Write again: %v", err)
		} else if stored != next {
			wantKind(t, err, pipeline.Stale)
		}
		next += 10
	}
	wantRows(t, pool, `SELECT count(*), count(DISTINCT kafka_offset) FROM heartbeat_records`, `30 30`)
}

// A session that the server ends may have been ended behind its COMMIT.
func TestTerminatedSessionIsOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	store, pool := newStore(t)
	claim := mustClaim(t, store, partition, 0)
	release := lockTable(t, pool, "heartbeat_records")
	written := make(chan error, 1)
	go func() { written <- store.Write(t.Context(), claim, batchOf(readings(0, 10))) }()
	awaitWaiters(t, pool, "COPY heartbeat_records", 1)
	pgtest.Exec(t, pool, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%COPY heartbeat_records%' AND pid <> pg_backend_pid() AND datname = current_database()`)
	wantKind(t, <-written, pipeline.OutcomeUnknown)
	release()
	mustWrite(t, store, claim, batchOf(readings(0, 10)))
}

func TestOutagesAreTransient(t *testing.T) {
	t.Parallel()
	t.Run("statement timeout on a lock", func(t *testing.T) {
		t.Parallel()
		_, pool := newStore(t)
		store := storeWith(t, pool, setting("statement_timeout", "100"))
		claim := mustClaim(t, store, partition, 0)
		release := lockTable(t, pool, "heartbeat_records")
		wantKind(t, store.Write(t.Context(), claim, batchOf(readings(0, 10))), pipeline.Transient)
		release()
		mustWrite(t, store, claim, batchOf(readings(0, 10)))
	})
	t.Run("lock timeout", func(t *testing.T) {
		t.Parallel()
		_, pool := newStore(t)
		store := storeWith(t, pool, setting("lock_timeout", "100"))
		claim := mustClaim(t, store, partition, 0)
		lockTable(t, pool, "fleet_minute")
		wantKind(t, store.Write(t.Context(), claim, batchOf(readings(0, 10))), pipeline.Transient)
	})
	t.Run("deadlock", func(t *testing.T) {
		t.Parallel()
		_, pool := newStore(t)
		store := storeWith(t, pool, setting("deadlock_timeout", "100"))
		claim := mustClaim(t, store, partition, 0)
		mustWrite(t, store, claim, batchOf(readings(0, 10)))
		rival, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer rival.Rollback(context.Background())
		if _, err := rival.Exec(t.Context(), `SET LOCAL deadlock_timeout = '1h'; SELECT FROM fleet_minute FOR UPDATE`); err != nil {
			t.Fatal(err)
		}
		written := make(chan error, 1)
		go func() { written <- store.Write(t.Context(), claim, batchOf(readings(10, 10))) }()
		awaitWaiters(t, pool, "fleet_minute", 1)
		if _, err := rival.Exec(t.Context(), `UPDATE ingest_progress SET owner = 'rival'`); err != nil {
			t.Fatal(err)
		}
		wantKind(t, <-written, pipeline.Transient)
	})
	t.Run("too many connections", func(t *testing.T) {
		t.Parallel()
		_, pool := newStore(t)
		pgtest.Exec(t, pool, `CREATE ROLE crowded LOGIN PASSWORD 'p' CONNECTION LIMIT 0`)
		t.Cleanup(func() { _, _ = pgtest.Admin(t).Exec(context.Background(), `DROP ROLE crowded`) })
		store := storeWith(t, pool, func(u *url.URL) { u.User = url.UserPassword("crowded", "p") })
		_, err := store.Claim(t.Context(), partition, 0)
		wantKind(t, err, pipeline.Transient)
	})
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		_, pool := newStore(t)
		store := storeWith(t, pool, func(u *url.URL) { u.Host = listener.Addr().String() })
		_, err = store.Claim(t.Context(), partition, 0)
		wantKind(t, err, pipeline.Transient)
		if !postgres.Unavailable(err) {
			t.Errorf("not Unavailable: %v", err)
		}
	})
}

func TestBadDataIsTold(t *testing.T) {
	t.Parallel()
	odd := reading(3, 1, 300, noon)
	odd.Raw = []byte("{\xff}")
	nul := reading(3, 1, 300, noon)
	nul.Raw = []byte("{\x00}")
	wrong := reading(3, 1, 75, noon)
	wrong.BPM = 200
	huge := reading(3, 1, 75, noon)
	huge.BPM = 1<<16 + 75
	unknown := reading(3, heartbeat.MaxCustomerID+1, 75, noon)
	for name, bad := range map[string]pipeline.Reading{
		"text that is not UTF-8": odd, "text with NUL": nul, "rate that is not normal": wrong,
		"rate that does not fit its column": huge, "customer id without a spelling": unknown,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, pool := newStore(t)
			claim := mustClaim(t, store, partition, 0)
			wantKind(t, store.Write(t.Context(), claim, batchOf(append(readings(0, 3), bad))), pipeline.BadData)
			wantRows(t, pool, `SELECT (SELECT count(*) FROM heartbeat_records), next_offset FROM ingest_progress`, `0 0`)
			mustWrite(t, store, claim, batchOf(readings(0, 3))) // the session is as good as new
		})
	}
}

func TestWhatNobodyForesawIsFatal(t *testing.T) {
	t.Parallel()
	t.Run("missing table", func(t *testing.T) {
		t.Parallel()
		store, pool := newStore(t)
		claim := mustClaim(t, store, partition, 0)
		pgtest.Exec(t, pool, `DROP TABLE dead_letters`)
		wantKind(t, store.Write(t.Context(), claim, &pipeline.Batch{From: 0, To: 1,
			DeadLetters: []heartbeat.DeadLetter{deadLetter(0, heartbeat.Empty, "", nil)}}), pipeline.Fatal)
	})
	t.Run("no permission", func(t *testing.T) {
		t.Parallel()
		store, pool := newStore(t)
		mustClaim(t, store, partition, 0)
		pgtest.Exec(t, pool, `CREATE ROLE powerless LOGIN PASSWORD 'p'`)
		t.Cleanup(func() { _, _ = pgtest.Admin(t).Exec(context.Background(), `DROP ROLE powerless`) })
		_, err := storeWith(t, pool, func(u *url.URL) { u.User = url.UserPassword("powerless", "p") }).Claim(t.Context(), partition, 0)
		wantKind(t, err, pipeline.Fatal)
	})
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		_, pool := newStore(t)
		wrong := func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "wrong") }
		_, err := storeWith(t, pool, wrong).Claim(t.Context(), partition, 0)
		wantKind(t, err, pipeline.Fatal)
		if postgres.Unavailable(err) {
			t.Errorf("a wrong password is taken for an outage: %v", err)
		}
	})
}
