package e2e_test

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var lockFor = flag.Duration("lock", 30*time.Second, "how long a table stays locked")

// A locked table delays the consumer and has no other effect.
func TestTableLockedForLong(t *testing.T) {
	t.Parallel()
	proves(t, "P5, P9")
	runRounds(t, fmt.Sprintf("table locked for %v", *lockFor), func(t *testing.T) *fixture {
		f := newFixture(t)
		producer := f.produce("--rate", "5000", "--seed", "32")
		consumer := f.consume()
		f.warmUp(consumer, 10_000)
		unlock := f.lockRecords()
		stored := f.stored()
		elapse(t, *lockFor)
		if more := f.stored() - stored; more > 0 {
			t.Errorf("%d offsets were stored while the table was locked", more)
		}
		f.wantBoundedMemory(consumer)
		unlock()
		f.stopAndAudit(producer, consumer)
		f.wantNoDeadLetters()
		return f.withFaults(1)
	})
}

// A statement timeout is retried.
func TestStatementTimeoutIsWaitedOut(t *testing.T) {
	t.Parallel()
	proves(t, "P5")
	runRounds(t, "statement timeout", func(t *testing.T) *fixture {
		f := newFixture(t)
		f.consumerDatabase = f.database + "&statement_timeout=500"
		producer := f.produce("--rate", "2000", "--seed", "33")
		consumer := f.consume()
		f.warmUp(consumer, 2_000)
		unlock := f.lockRecords()
		consumer.waitForOutput("57014")
		unlock()
		f.stopAndAudit(producer, consumer)
		f.wantNoDeadLetters()
		return f.withFaults(1)
	})
}

// The victim of a deadlock retries the same batch.
func TestDeadlockIsWaitedOut(t *testing.T) {
	t.Parallel()
	proves(t, "P5")
	runRounds(t, "deadlock", func(t *testing.T) *fixture {
		f := newFixture(t)
		producer := f.produce("--rate", "2000", "--seed", "34")
		consumer := f.consume()
		f.warmUp(consumer, 2_000)
		deadlocks := func() int64 {
			return value[int64](t, f.pool, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`)
		}
		before := deadlocks()
		rival, err := f.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{`SET LOCAL deadlock_timeout = '1h'`, `LOCK TABLE heartbeat_records IN ACCESS EXCLUSIVE MODE`} {
			if _, err := rival.Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		await(t, waitTimeout, func() string {
			if value[int64](t, f.pool, `SELECT count(*) FROM pg_locks WHERE relation = 'heartbeat_records'::regclass AND NOT granted`) == 0 {
				return "no batch waits for the table"
			}
			return ""
		})
		// The waiting batch holds its progress row: now each waits for the other, and the server ends the batch.
		if _, err := rival.Exec(t.Context(), `UPDATE ingest_progress SET owner = owner`); err != nil {
			t.Fatalf("the rival became the victim: %v", err)
		}
		if err := rival.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		await(t, waitTimeout, func() string {
			if deadlocks() == before {
				return "the server has counted no deadlock"
			}
			return ""
		})
		f.stopAndAudit(producer, consumer)
		f.wantNoDeadLetters()
		return f.withFaults(1)
	})
}

// A batch that fails to serialize is retried. The product uses read committed, where that does not happen, but an operator
// may have set another default for the database.
func TestSerializationFailureIsWaitedOut(t *testing.T) {
	t.Parallel()
	proves(t, "P5")
	runRounds(t, "serialization failure", func(t *testing.T) *fixture {
		f := newFixture(t)
		f.consumerDatabase = f.database + "&default_transaction_isolation=repeatable%20read"
		producer := f.produce("--rate", "2000", "--seed", "41")
		consumer := f.consume()
		f.warmUp(consumer, 2_000)
		rival, err := f.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rival.Exec(t.Context(), `UPDATE ingest_progress SET owner = owner`); err != nil {
			t.Fatal(err)
		}
		await(t, waitTimeout, func() string {
			if value[int64](t, f.pool, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'`) == 0 {
				return "no batch waits for the rival"
			}
			return ""
		})
		if err := rival.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		consumer.waitForOutput("40001")
		f.stopAndAudit(producer, consumer)
		f.wantNoDeadLetters()
		return f.withFaults(1)
	})
}

// A server without a free connection is retried.
func TestTooManyConnectionsAreWaitedOut(t *testing.T) {
	t.Parallel()
	proves(t, "P5")
	runRounds(t, "too many connections", func(t *testing.T) *fixture {
		server := ownDatabase(t, map[string]string{"max_connections": "20"})
		f := newFixtureOn(t, sharedBroker(t).address(), server)
		producer := f.produce("--rate", "2000", "--seed", "37")
		consumer := f.consume()
		f.warmUp(consumer, 2_000)
		release := f.takeAllConnections(server)
		consumer.waitForOutput("53300")
		release()
		f.stopAndAudit(producer, consumer)
		f.wantNoDeadLetters()
		return f.withFaults(1)
	})
}

// takeAllConnections takes every connection of the server, the consumer's too, until release is called.
func (f *fixture) takeAllConnections(server *postgresServer) (release func()) {
	f.t.Helper()
	hold := openConnections(f.t, server.url("postgres"))
	await(f.t, waitTimeout, func() string {
		if err := hold.openMore(f.t); err == nil {
			return "the server still has free connections"
		}
		if hold.terminateOthers(f.t) > 0 {
			return "the consumer still has connections"
		}
		return ""
	})
	return hold.close
}
