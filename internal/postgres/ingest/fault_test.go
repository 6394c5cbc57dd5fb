package ingest_test

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
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/postgres/pgtest"
)

// storeWith returns a Store on the pool's database whose sessions have a setting of their own.
func storeWith(t testing.TB, pool *pgxpool.Pool, change func(*url.URL)) *ingest.Store {
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
	return pgtest.NewStoreOn(own)
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
			store, pool := pgtest.NewStore(t)
			proxy := newProxy(t, pool)
			far := proxy.store(t)
			claim := pgtest.MustClaim(t, far, pgtest.Partition, 0)
			batch := pgtest.BatchOf(pgtest.Readings(0, 10))

			proxy.at("\x00commit\x00", test.act)
			pgtest.WantKind(t, far.Write(t.Context(), claim, batch), pipeline.OutcomeUnknown)

			pgtest.AwaitNoTransaction(t, pool)
			if next, err := store.Position(t.Context(), claim); err != nil || next != test.next {
				t.Errorf("Position is %d, %v; want %d", next, err, test.next)
			}
			if err := far.Write(t.Context(), claim, batch); test.next == 0 && err != nil {
				t.Errorf("Write again: %v", err)
			} else if test.next != 0 {
				pgtest.WantKind(t, err, pipeline.Stale)
			}
			pgtest.WantRows(t, pool, `SELECT count(*), count(DISTINCT kafka_offset) FROM heartbeat_records`, `10 10`)
		})
	}
}

// Wherever the piece that is a transaction breaks off, nothing of it is stored and the next attempt is as good as the first.
func TestConnectionCutInTheMiddleStoresNothing(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"begin", "move_progress", "copy_records", "copy_anomalies", "copy_metrics", "add_minute"} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			_, pool := pgtest.NewStore(t)
			proxy := newProxy(t, pool)
			far := proxy.store(t)
			claim := pgtest.MustClaim(t, far, pgtest.Partition, 0)
			batch := pgtest.BatchOf(append(pgtest.Readings(0, 10), pgtest.Reading(10, 1, 300, pgtest.Noon)))
			proxy.at("\x00"+word+"\x00", cutBefore)
			pgtest.WantKind(t, far.Write(t.Context(), claim, batch), pipeline.OutcomeUnknown)
			pgtest.AwaitNoTransaction(t, pool)
			if next, err := far.Position(t.Context(), claim); err != nil || next != 0 {
				t.Errorf("Position is %d, %v; want 0", next, err)
			}
			pgtest.WantRows(t, pool, `SELECT count(*) FROM heartbeat_records`, `0`)
			pgtest.MustWrite(t, far, claim, batch)
		})
	}
}

// What breaks before the transaction is sent is an outage like any other.
func TestConnectionCutBeforeTheTransactionIsAnOutage(t *testing.T) {
	t.Parallel()
	_, pool := pgtest.NewStore(t)
	proxy := newProxy(t, pool)
	far := proxy.store(t)
	claim := pgtest.MustClaim(t, far, pgtest.Partition, 0)
	proxy.at("COPY heartbeat_records", cutBefore) // while the session learns its statements
	pgtest.WantKind(t, far.Write(t.Context(), claim, pgtest.BatchOf(pgtest.Readings(0, 10))), pipeline.Transient)
	pgtest.MustWrite(t, far, claim, pgtest.BatchOf(pgtest.Readings(0, 10)))
}

func TestCancelledWriteSaysSo(t *testing.T) {
	t.Parallel()
	_, pool := pgtest.NewStore(t)
	store := storeWith(t, pool, setting("pool_max_conns", "1"))
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Write(cancelled, claim, pgtest.BatchOf(pgtest.Readings(0, 10))); !errors.Is(err, context.Canceled) || pipeline.KindOf(err) == pipeline.OutcomeUnknown {
		t.Errorf("cancelled before it began: %v of kind %d, want context.Canceled and a known outcome", err, pipeline.KindOf(err))
	}

	pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(0, 10))) // so that the session knows its statements
	next := int64(10)
	for _, table := range []string{"heartbeat_records", "fleet_minute"} {
		release := pgtest.LockTable(t, pool, table)
		waiting, cancel := context.WithCancel(t.Context())
		written := make(chan error, 1)
		go func() { written <- store.Write(waiting, claim, pgtest.BatchOf(pgtest.Readings(next, 10))) }()
		pgtest.AwaitWaiters(t, pool, table, 1)
		cancel()
		if err := <-written; !errors.Is(err, context.Canceled) || pipeline.KindOf(err) != pipeline.OutcomeUnknown {
			t.Errorf("cancelled while it waits for %s: %v of kind %d, want context.Canceled and OutcomeUnknown", table, err, pipeline.KindOf(err))
		}
		release()
		// The server is told to stop, so it may have done either: the stored progress says which.
		pgtest.AwaitNoTransaction(t, pool)
		stored, err := store.Position(t.Context(), claim)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Write(t.Context(), claim, pgtest.BatchOf(pgtest.Readings(next, 10))); stored == next && err != nil {
			t.Errorf("Write again: %v", err)
		} else if stored != next {
			pgtest.WantKind(t, err, pipeline.Stale)
		}
		next += 10
	}
	pgtest.WantRows(t, pool, `SELECT count(*), count(DISTINCT kafka_offset) FROM heartbeat_records`, `30 30`)
}

// A session that the server ends may have been ended behind its COMMIT.
func TestTerminatedSessionIsOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	release := pgtest.LockTable(t, pool, "heartbeat_records")
	written := make(chan error, 1)
	go func() { written <- store.Write(t.Context(), claim, pgtest.BatchOf(pgtest.Readings(0, 10))) }()
	pgtest.AwaitWaiters(t, pool, "COPY heartbeat_records", 1)
	pgtest.Exec(t, pool, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%COPY heartbeat_records%' AND pid <> pg_backend_pid() AND datname = current_database()`)
	pgtest.WantKind(t, <-written, pipeline.OutcomeUnknown)
	release()
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(0, 10)))
}

func TestOutagesAreTransient(t *testing.T) {
	t.Parallel()
	t.Run("statement timeout on a lock", func(t *testing.T) {
		t.Parallel()
		_, pool := pgtest.NewStore(t)
		store := storeWith(t, pool, setting("statement_timeout", "100"))
		claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
		release := pgtest.LockTable(t, pool, "heartbeat_records")
		pgtest.WantKind(t, store.Write(t.Context(), claim, pgtest.BatchOf(pgtest.Readings(0, 10))), pipeline.Transient)
		release()
		pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(0, 10)))
	})
	t.Run("lock timeout", func(t *testing.T) {
		t.Parallel()
		_, pool := pgtest.NewStore(t)
		store := storeWith(t, pool, setting("lock_timeout", "100"))
		claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
		pgtest.LockTable(t, pool, "fleet_minute")
		pgtest.WantKind(t, store.Write(t.Context(), claim, pgtest.BatchOf(pgtest.Readings(0, 10))), pipeline.Transient)
	})
	t.Run("deadlock", func(t *testing.T) {
		t.Parallel()
		_, pool := pgtest.NewStore(t)
		store := storeWith(t, pool, setting("deadlock_timeout", "100"))
		claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
		pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(0, 10)))
		rival, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer rival.Rollback(context.Background())
		if _, err := rival.Exec(t.Context(), `SET LOCAL deadlock_timeout = '1h'; SELECT FROM fleet_minute FOR UPDATE`); err != nil {
			t.Fatal(err)
		}
		written := make(chan error, 1)
		go func() { written <- store.Write(t.Context(), claim, pgtest.BatchOf(pgtest.Readings(10, 10))) }()
		pgtest.AwaitWaiters(t, pool, "fleet_minute", 1)
		if _, err := rival.Exec(t.Context(), `UPDATE ingest_progress SET owner = 'rival'`); err != nil {
			t.Fatal(err)
		}
		pgtest.WantKind(t, <-written, pipeline.Transient)
	})
	t.Run("too many connections", func(t *testing.T) {
		t.Parallel()
		_, pool := pgtest.NewStore(t)
		pgtest.Exec(t, pool, `CREATE ROLE crowded LOGIN PASSWORD 'p' CONNECTION LIMIT 0`)
		t.Cleanup(func() { _, _ = pgtest.Admin(t).Exec(context.Background(), `DROP ROLE crowded`) })
		store := storeWith(t, pool, func(u *url.URL) { u.User = url.UserPassword("crowded", "p") })
		_, err := store.Claim(t.Context(), pgtest.Partition, 0)
		pgtest.WantKind(t, err, pipeline.Transient)
	})
	t.Run("no listener", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		_, pool := pgtest.NewStore(t)
		store := storeWith(t, pool, func(u *url.URL) { u.Host = listener.Addr().String() })
		_, err = store.Claim(t.Context(), pgtest.Partition, 0)
		pgtest.WantKind(t, err, pipeline.Transient)
		if !postgres.Unavailable(err) {
			t.Errorf("not Unavailable: %v", err)
		}
	})
}

func TestBadDataIsTold(t *testing.T) {
	t.Parallel()
	odd := pgtest.Reading(3, 1, 300, pgtest.Noon)
	odd.Raw = []byte("{\xff}")
	nul := pgtest.Reading(3, 1, 300, pgtest.Noon)
	nul.Raw = []byte("{\x00}")
	wrong := pgtest.Reading(3, 1, 75, pgtest.Noon)
	wrong.BPM = 200
	huge := pgtest.Reading(3, 1, 75, pgtest.Noon)
	huge.BPM = 1<<16 + 75
	unknown := pgtest.Reading(3, heartbeat.MaxCustomerID+1, 75, pgtest.Noon)
	for name, bad := range map[string]pipeline.Reading{
		"text that is not UTF-8": odd, "text with NUL": nul, "rate that is not normal": wrong,
		"rate that does not fit its column": huge, "customer id without a spelling": unknown,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, pool := pgtest.NewStore(t)
			claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
			pgtest.WantKind(t, store.Write(t.Context(), claim, pgtest.BatchOf(append(pgtest.Readings(0, 3), bad))), pipeline.BadData)
			pgtest.WantRows(t, pool, `SELECT (SELECT count(*) FROM heartbeat_records), next_offset FROM ingest_progress`, `0 0`)
			pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(0, 3))) // the session is as good as new
		})
	}
}

func TestUnforeseenErrorIsFatal(t *testing.T) {
	t.Parallel()
	t.Run("missing table", func(t *testing.T) {
		t.Parallel()
		store, pool := pgtest.NewStore(t)
		claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
		pgtest.Exec(t, pool, `DROP TABLE dead_letters`)
		pgtest.WantKind(t, store.Write(t.Context(), claim, &pipeline.Batch{From: 0, To: 1,
			DeadLetters: []heartbeat.DeadLetter{pgtest.DeadLetter(0, heartbeat.Empty, "", nil)}}), pipeline.Fatal)
	})
	t.Run("no permission", func(t *testing.T) {
		t.Parallel()
		store, pool := pgtest.NewStore(t)
		pgtest.MustClaim(t, store, pgtest.Partition, 0)
		pgtest.Exec(t, pool, `CREATE ROLE powerless LOGIN PASSWORD 'p'`)
		t.Cleanup(func() { _, _ = pgtest.Admin(t).Exec(context.Background(), `DROP ROLE powerless`) })
		_, err := storeWith(t, pool, func(u *url.URL) { u.User = url.UserPassword("powerless", "p") }).Claim(t.Context(), pgtest.Partition, 0)
		pgtest.WantKind(t, err, pipeline.Fatal)
	})
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		_, pool := pgtest.NewStore(t)
		wrong := func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "wrong") }
		_, err := storeWith(t, pool, wrong).Claim(t.Context(), pgtest.Partition, 0)
		pgtest.WantKind(t, err, pipeline.Fatal)
		if postgres.Unavailable(err) {
			t.Errorf("a wrong password is taken for an outage: %v", err)
		}
	})
}

// A server that has been demoted answers that it is read-only. That passes, and the sessions on it are given up.
func TestReadOnlyServerIsAnOutage(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.Exec(t, pool, `SET default_transaction_read_only = on`) // the pool has one idle session
	pgtest.WantKind(t, store.Write(t.Context(), claim, pgtest.BatchOf(pgtest.Readings(0, 10))), pipeline.Transient)
	before := pool.Stat().NewConnsCount()
	pgtest.WantRows(t, pool, `SELECT count(*) FROM heartbeat_records`, `0`)
	if pool.Stat().NewConnsCount() == before {
		t.Error("a session on the read-only server stays in the pool")
	}
}
