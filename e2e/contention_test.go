package e2e_test

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var lockFor = flag.Duration("lock", 30*time.Second, "how long a table stays locked")

// A table that stays locked holds the consumer up and costs it nothing else.
func TestTableLockedForLong(t *testing.T) {
	t.Parallel()
	proves(t, "P5, P9")
	repeat(t, fmt.Sprintf("table locked for %v", *lockFor), func(t *testing.T) *rig {
		r := newRig(t)
		producer := r.produce("--rate", "5000", "--seed", "32")
		consumer := r.consume()
		r.warm(consumer, 10_000)
		unlock := r.lockRecords()
		stored := r.stored()
		elapse(t, *lockFor)
		if more := r.stored() - stored; more > 0 {
			t.Errorf("%d offsets were stored while the table was locked", more)
		}
		r.wantFlat(consumer)
		unlock()
		r.finish(producer, consumer)
		r.wantNoDeadLetters()
		return r.saw(1)
	})
}

// A statement that takes too long is an outage like any other.
func TestStatementTimeoutIsWaitedOut(t *testing.T) {
	t.Parallel()
	proves(t, "P5")
	repeat(t, "statement timeout", func(t *testing.T) *rig {
		r := newRig(t)
		r.via = r.database + "&statement_timeout=500"
		producer := r.produce("--rate", "2000", "--seed", "33")
		consumer := r.consume()
		r.warm(consumer, 2_000)
		unlock := r.lockRecords()
		consumer.says("57014")
		unlock()
		r.finish(producer, consumer)
		r.wantNoDeadLetters()
		return r.saw(1)
	})
}

// The victim of a deadlock comes again with the same batch.
func TestDeadlockIsWaitedOut(t *testing.T) {
	t.Parallel()
	proves(t, "P5")
	repeat(t, "deadlock", func(t *testing.T) *rig {
		r := newRig(t)
		producer := r.produce("--rate", "2000", "--seed", "34")
		consumer := r.consume()
		r.warm(consumer, 2_000)
		deadlocks := func() int64 {
			return value[int64](t, r.pool, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`)
		}
		before := deadlocks()
		rival, err := r.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{`SET LOCAL deadlock_timeout = '1h'`, `LOCK TABLE heartbeat_records IN ACCESS EXCLUSIVE MODE`} {
			if _, err := rival.Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		await(t, patience, func() string {
			if value[int64](t, r.pool, `SELECT count(*) FROM pg_locks WHERE relation = 'heartbeat_records'::regclass AND NOT granted`) == 0 {
				return "no batch waits for the table"
			}
			return ""
		})
		// The batch that waits holds its row of the progress: now each waits for the other, and the server ends the batch.
		if _, err := rival.Exec(t.Context(), `UPDATE ingest_progress SET owner = owner`); err != nil {
			t.Fatalf("the rival became the victim: %v", err)
		}
		if err := rival.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		await(t, patience, func() string {
			if deadlocks() == before {
				return "the server has counted no deadlock"
			}
			return ""
		})
		r.finish(producer, consumer)
		r.wantNoDeadLetters()
		return r.saw(1)
	})
}

// A batch that cannot be serialized with another's transaction comes again. The product reads what is committed, where
// that does not happen; an operator may have chosen otherwise for the database.
func TestSerializationFailureIsWaitedOut(t *testing.T) {
	t.Parallel()
	proves(t, "P5")
	repeat(t, "serialization failure", func(t *testing.T) *rig {
		r := newRig(t)
		r.via = r.database + "&default_transaction_isolation=repeatable%20read"
		producer := r.produce("--rate", "2000", "--seed", "41")
		consumer := r.consume()
		r.warm(consumer, 2_000)
		rival, err := r.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rival.Exec(t.Context(), `UPDATE ingest_progress SET owner = owner`); err != nil {
			t.Fatal(err)
		}
		await(t, patience, func() string {
			if value[int64](t, r.pool, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'`) == 0 {
				return "no batch waits for the rival"
			}
			return ""
		})
		if err := rival.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		consumer.says("40001")
		r.finish(producer, consumer)
		r.wantNoDeadLetters()
		return r.saw(1)
	})
}

// A server without a free connection is waited out.
func TestTooManyConnectionsAreWaitedOut(t *testing.T) {
	t.Parallel()
	proves(t, "P5")
	repeat(t, "too many connections", func(t *testing.T) *rig {
		server := ownDatabase(t, map[string]string{"max_connections": "20"})
		r := rigOn(t, sharedBroker(t).address(), server)
		producer := r.produce("--rate", "2000", "--seed", "37")
		consumer := r.consume()
		r.warm(consumer, 2_000)
		release := r.occupy(server)
		consumer.says("53300")
		release()
		r.finish(producer, consumer)
		r.wantNoDeadLetters()
		return r.saw(1)
	})
}

// occupy takes every connection that the server has, the consumer's too, until release is called.
func (r *rig) occupy(server *postgresServer) (release func()) {
	r.t.Helper()
	hold := connectMany(r.t, server.url("postgres"))
	await(r.t, patience, func() string {
		if err := hold.more(r.t); err == nil {
			return "the server still has free connections"
		}
		if hold.expel(r.t) > 0 {
			return "the consumer still has connections"
		}
		return ""
	})
	return hold.release
}
