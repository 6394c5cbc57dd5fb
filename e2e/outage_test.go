package e2e_test

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var (
	databaseStops = flag.Int("database-stops", 10, "how often to stop PostgreSQL at once under load")
	outageFor     = flag.Duration("outage", 60*time.Second, "how long PostgreSQL stays away")
	burstFor      = flag.Duration("burst", time.Minute, "how long ten times the load lasts")
)

// A database that is stopped at once under load, and started again, has every event once.
func TestDatabaseStoppedUnderLoad(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P4, P5")
	repeat(t, "PostgreSQL stopped at once under load", func(t *testing.T) *rig {
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
		return r.saw(*databaseStops)
	})
}

// A database that is away for long costs nothing but time: no dead letters, no loss, no membership, no memory.
func TestDatabaseAwayForLong(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P5, P9")
	repeat(t, fmt.Sprintf("PostgreSQL away for %v at 5,000 events/s", *outageFor), func(t *testing.T) *rig {
		r := newRig(t)
		proxy := r.throughProxy()
		producer := r.produce("--rate", "5000", "--seed", "31")
		consumer := r.consume()
		r.warm(consumer, 20_000)
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
		r.wantFlat(consumer)
		proxy.up()
		r.finish(producer, consumer)
		r.wantNoDeadLetters()
		t.Logf("backlog %d, caught up in %v", backlog, r.tally.caughtUp)
		return r.saw(1)
	})
}

// Every class of error that passes by itself is waited out with the same batch, whatever its code.
func TestPassingErrorsAreWaitedOut(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"40001", "40P01", "53100", "53200", "53300", "55P03", "57014", "08006", "57P01"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			repeat(t, "writes fail with SQLSTATE "+code, func(t *testing.T) *rig {
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
				return r.saw(failures)
			})
		})
	}
}

// An error that nobody foresaw stops the partition loudly; once a person has repaired the cause it goes on.
func TestUnforeseenErrorStopsLoudlyAndLosesNothing(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P5")
	repeat(t, "error that nobody foresaw", func(t *testing.T) *rig {
		r := newRig(t)
		r.failWrites("42501", 1)
		r.produce("--max-events", "2000", "--rate", "2000", "--seed", "36").succeed(patience)
		consumer := r.consume()
		consumer.says("partition stopped: nothing is lost, but a person must repair the cause")
		r.caughtUp(patience)
		consumer.interrupt()
		r.wantNoDeadLetters()
		auditSending(t, r.audit())
		return r.saw(1)
	})
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

// A database whose disk is full is waited out with a word about it, and goes on when there is room.
func TestDatabaseDiskFull(t *testing.T) {
	t.Parallel()
	proves(t, "P5, P9")
	repeat(t, "database disk full", func(t *testing.T) *rig {
		server := ownDatabase(t, nil)
		disk := newSmallDisk(t, server, 96<<20)
		r := &rig{t: t, broker: sharedBroker(t).address(), database: disk.createDatabase(t)}
		r.setUp()
		producer := r.produce("--rate", "2000", "--seed", "38")
		consumer := r.consume()
		r.warm(consumer, 5_000)
		disk.fill(t)
		consumer.says("53100")
		stored := r.stored()
		elapse(t, 5*time.Second)
		if more := r.stored() - stored; more > 50_000 {
			t.Errorf("%d offsets were stored on a full disk", more)
		}
		r.wantFlat(consumer)
		disk.drain(t)
		r.finish(producer, consumer)
		r.wantNoDeadLetters()
		return r.saw(1)
	})
}

// A slow database, and ten times the load for a minute, make lag, not memory. Every event is an anomaly: with its text and
// its alert it is three times a normal one, and the line is too narrow for ten thousand a second on any machine.
func TestSlowDatabaseMakesLagNotMemory(t *testing.T) {
	t.Parallel()
	proves(t, "P9")
	repeat(t, fmt.Sprintf("database with 200 ms and 1 MB/s, ten times the load for %v", *burstFor), func(t *testing.T) *rig {
		r := newRig(t)
		proxy := r.throughProxy()
		producer := r.produce("--rate", "1000", "--anomaly-rate", "1", "--seed", "39")
		consumer := r.consume()
		r.warm(consumer, 5_000)
		proxy.slow(200*time.Millisecond, 1<<20)
		producer.interrupt()
		burst := r.produce("--rate", "10000", "--anomaly-rate", "1", "--seed", "40")
		elapse(t, *burstFor/2)
		lag := r.behind()
		consumer.warm = consumer.memory() // with full buffers, which more lag must not make larger
		elapse(t, *burstFor/2)
		if more := r.behind() - lag; lag < 10_000 || more <= 0 {
			t.Errorf("lag is %d and grows by %d: the database was not slow enough to prove anything", lag, more)
		}
		r.wantFlat(consumer)
		t.Logf("lag %d", r.behind())
		proxy.slow(0, 0)
		r.finish(burst, consumer)
		r.wantNoDeadLetters()
		return r.saw(1)
	})
}
