package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var (
	databaseStops = flag.Int("database-stops", 10, "how often to stop PostgreSQL at once under load")
	outageFor     = flag.Duration("outage", 60*time.Second, "how long PostgreSQL stays away")
	lockFor       = flag.Duration("lock", 30*time.Second, "how long a table stays locked")
)

// A database that is stopped at once under load, and started again, has every event once.
func TestDatabaseStoppedUnderLoad(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P4, P5")
	server := ownDatabase(t, nil)
	r := rigOn(t, sharedBroker(t).address(), server)
	producer := r.produce("--rate", "2000", "--seed", "30")
	consumer := r.consume()
	for range *databaseStops {
		r.storedMore(1_000)
		outages := consumer.said("store unavailable, retrying with the same batch")
		server.crash(t)
		consumer.saysTimes("store unavailable, retrying with the same batch", outages+1)
		server.restart(t)
		r.pool.Reset()
	}
	r.storedMore(1_000)
	producer.interrupt()
	r.caughtUp(patience)
	consumer.interrupt()
	auditSending(t, r.audit())
	r.wantUnbroken(consumer)
	r.wantNoDeadLetters()
	r.done("PostgreSQL stopped at once under load", *databaseStops)
}

// A database that is away for long costs nothing but time: no dead letters, no loss, no membership, no memory.
func TestDatabaseAwayForLong(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P5, P9")
	r := newRig(t)
	proxy := r.throughProxy()
	producer := r.produce("--rate", "5000", "--seed", "31")
	consumer := r.consume()
	r.storedMore(20_000)
	before := consumer.memory()
	proxy.down()
	await(t, patience, func() string { // the server may be at a COMMIT that it was sent before
		if value[int64](t, r.pool, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'heartbeat%'`) > 0 {
			return "the consumer still has sessions"
		}
		return ""
	})
	stored := r.stored()
	elapse(t, *outageFor)
	if more := r.stored() - stored; more > 0 {
		t.Errorf("%d offsets were stored while the database was away", more)
	}
	backlog := r.behind()
	during := consumer.memory()
	r.wantFlat(before, during)
	proxy.up()
	producer.interrupt()
	began := time.Now()
	r.caughtUp(longPatience)
	t.Logf("away %v, backlog %d, caught up in %v, memory %d MB before, %d MB during", *outageFor, backlog, time.Since(began).Round(time.Millisecond), before>>20, during>>20)
	consumer.interrupt()
	r.wantUnbroken(consumer)
	r.wantNoDeadLetters()
	auditSending(t, r.audit())
	r.done(fmt.Sprintf("PostgreSQL away for %v at 5,000 events/s", *outageFor), 1)
}

// A table that stays locked holds the consumer up and costs it nothing else.
func TestTableLockedForLong(t *testing.T) {
	t.Parallel()
	proves(t, "P5, P9")
	r := newRig(t)
	producer := r.produce("--rate", "5000", "--seed", "32")
	consumer := r.consume()
	r.storedMore(10_000)
	before := consumer.memory()
	lock, err := r.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), `LOCK TABLE heartbeat_records IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	stored := r.stored()
	elapse(t, *lockFor)
	if more := r.stored() - stored; more > 0 {
		t.Errorf("%d offsets were stored while the table was locked", more)
	}
	during := consumer.memory()
	r.wantFlat(before, during)
	t.Logf("memory %d MB before, %d MB during", before>>20, during>>20)
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	producer.interrupt()
	r.caughtUp(longPatience)
	consumer.interrupt()
	r.wantUnbroken(consumer)
	r.wantNoDeadLetters()
	auditSending(t, r.audit())
	r.done(fmt.Sprintf("table locked for %v", *lockFor), 1)
}

// A statement that takes too long is an outage like any other.
func TestStatementTimeoutIsWaitedOut(t *testing.T) {
	t.Parallel()
	proves(t, "P5")
	r := newRig(t)
	r.via = r.database + "&statement_timeout=500"
	producer := r.produce("--rate", "2000", "--seed", "33")
	consumer := r.consume()
	r.storedMore(2_000)
	lock, err := r.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), `LOCK TABLE heartbeat_records IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	consumer.says("57014")
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.finish(producer, consumer)
	r.wantNoDeadLetters()
	r.done("statement timeout", 1)
}

// The victim of a deadlock comes again with the same batch.
func TestDeadlockIsWaitedOut(t *testing.T) {
	t.Parallel()
	proves(t, "P5")
	r := newRig(t)
	producer := r.produce("--rate", "2000", "--seed", "34")
	consumer := r.consume()
	r.storedMore(2_000)
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
	r.done("deadlock", 1)
}

// Every class of error that passes by itself is waited out with the same batch, whatever its code.
func TestPassingErrorsAreWaitedOut(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"40001", "40P01", "53100", "53200", "53300", "55P03", "57014", "08006", "57P01"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			const failures = 4
			r.failWrites(code, failures)
			producer := r.produce("--max-events", "3000", "--rate", "2000", "--seed", "35")
			producer.succeed(patience)
			r.drain()
			if tried := value[int64](t, r.pool, `SELECT last_value FROM failures`); tried <= failures {
				t.Errorf("%d of %d failures happened", tried, failures)
			}
			r.wantNoDeadLetters()
			auditSending(t, r.audit())
			r.done("writes fail with SQLSTATE "+code, failures)
		})
	}
}

// An error that nobody foresaw stops the partition loudly; once a person has repaired the cause it goes on.
func TestUnforeseenErrorStopsLoudlyAndLosesNothing(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P5")
	r := newRig(t)
	r.failWrites("42501", 1)
	r.produce("--max-events", "2000", "--rate", "2000", "--seed", "36").succeed(patience)
	consumer := r.consume()
	consumer.says("partition stopped: nothing is lost, but a person must repair the cause")
	r.caughtUp(patience)
	consumer.interrupt()
	r.wantNoDeadLetters()
	auditSending(t, r.audit())
	r.done("error that nobody foresaw", 1)
}

// failWrites lets the next writes of readings fail with the SQLSTATE. A sequence keeps its value when a transaction is
// rolled back, so it counts the failures.
func (r *rig) failWrites(code string, times int) {
	r.t.Helper()
	_, err := r.pool.Exec(r.t.Context(), fmt.Sprintf(`
CREATE SEQUENCE failures;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('failures') <= %d THEN
        RAISE EXCEPTION 'a test lets this write fail' USING ERRCODE = '%s';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER fail BEFORE INSERT ON heartbeat_records FOR EACH STATEMENT EXECUTE FUNCTION fail()`, times, code))
	if err != nil {
		r.t.Fatalf("prepare failing writes: %v", err)
	}
}

// A server without a free connection is waited out.
func TestTooManyConnectionsAreWaitedOut(t *testing.T) {
	t.Parallel()
	proves(t, "P5")
	server := ownDatabase(t, map[string]string{"max_connections": "20"})
	r := rigOn(t, sharedBroker(t).address(), server)
	producer := r.produce("--rate", "2000", "--seed", "37")
	consumer := r.consume()
	r.storedMore(2_000)
	release := r.occupy(server)
	consumer.says("53300")
	release()
	r.finish(producer, consumer)
	r.wantNoDeadLetters()
	r.done("too many connections", 1)
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

// A database whose disk is full is waited out with a word about it, and goes on when there is room.
func TestDatabaseDiskFull(t *testing.T) {
	t.Parallel()
	proves(t, "P5, P9")
	server := ownDatabase(t, nil)
	disk := newSmallDisk(t, server, 96<<20)
	r := &rig{t: t, broker: sharedBroker(t).address(), database: disk.createDatabase(t)}
	r.setUp()
	producer := r.produce("--rate", "2000", "--seed", "38")
	consumer := r.consume()
	r.storedMore(5_000)
	before := consumer.memory()
	disk.fill(t)
	consumer.says("53100")
	stored := r.stored()
	elapse(t, 5*time.Second)
	if more := r.stored() - stored; more > 50_000 {
		t.Errorf("%d offsets were stored on a full disk", more)
	}
	during := consumer.memory()
	r.wantFlat(before, during)
	disk.drain(t)
	r.finish(producer, consumer)
	r.wantNoDeadLetters()
	r.done("database disk full", 1)
}

// A slow database makes lag, not memory.
func TestSlowDatabaseMakesLagNotMemory(t *testing.T) {
	t.Parallel()
	proves(t, "P9")
	r := newRig(t)
	proxy := r.throughProxy()
	producer := r.produce("--rate", "2000", "--seed", "39")
	consumer := r.consume()
	r.storedMore(5_000)
	before := consumer.memory()
	proxy.slow(200*time.Millisecond, 1<<20)
	burst := r.produce("--rate", "20000", "--seed", "40")
	elapse(t, *outageFor/3)
	lag, during := r.behind(), consumer.memory()
	if lag < 20_000 {
		t.Errorf("lag is %d: the database was not slow enough to prove anything", lag)
	}
	r.wantFlat(before, during)
	proxy.slow(0, 0)
	burst.interrupt()
	producer.interrupt()
	r.caughtUp(longPatience)
	consumer.interrupt()
	r.wantUnbroken(consumer)
	r.wantNoDeadLetters()
	r.audit()
	t.Logf("lag %d, memory %d MB before, %d MB during", lag, before>>20, during>>20)
	r.done("slow database, burst of ten times the load", 1)
}

// finish ends the load, waits until everything is stored, and audits.
func (r *rig) finish(producer, consumer *role) contents {
	r.t.Helper()
	r.storedMore(1_000)
	producer.interrupt()
	r.caughtUp(patience)
	consumer.interrupt()
	r.wantUnbroken(consumer)
	read := r.audit()
	auditSending(r.t, read)
	return read
}

// wantUnbroken wants a consumer to have kept its membership and its partitions from start to end.
func (r *rig) wantUnbroken(consumer *role) {
	r.t.Helper()
	text := consumer.lines.String()
	for phrase, most := range map[string]int{"partition claimed": 3, "group session lost": 0, "consumer session ended": 0} {
		if said := strings.Count(text, phrase); said > most {
			r.t.Errorf("the consumer lost its place in the group: it says %q %d times, want at most %d", phrase, said, most)
		}
	}
}

// wantNoDeadLetters wants good data to be stored as data, whatever happened (P5).
func (r *rig) wantNoDeadLetters() {
	r.t.Helper()
	if dead := value[int64](r.t, r.pool, `SELECT count(*) FROM dead_letters`); dead > 0 {
		r.t.Errorf("P5, an outage is never a dead letter: there are %d", dead)
	}
}

// memoryAllowance is by how much a race-checked consumer with full buffers may exceed one with empty buffers.
const memoryAllowance = 224 << 20

// wantFlat wants memory not to have grown with the backlog (P9).
func (r *rig) wantFlat(before, during int64) {
	r.t.Helper()
	if during > before+memoryAllowance {
		r.t.Errorf("P9, memory is bounded: it was %d MB before and %d MB during the outage", before>>20, during>>20)
	}
}

// memory returns how much memory the process occupies.
func (r *role) memory() int64 {
	r.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", r.cmd.Process.Pid))
	if err != nil {
		r.t.Fatalf("read memory of %s: %v", r.name, err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		r.t.Fatalf("read memory of %s: %v", r.name, err)
	}
	return resident * int64(os.Getpagesize())
}
