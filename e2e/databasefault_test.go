package e2e_test

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var (
	databaseStops = flag.Int("database-stops", 10, "how often to crash PostgreSQL under load")
	outageFor     = flag.Duration("outage", 30*time.Second, "how long PostgreSQL is unreachable")
	burstFor      = flag.Duration("burst", 30*time.Second, "how long ten times the load lasts")
)

// A database that crashes under load and restarts holds every event once.
func TestDatabaseStoppedUnderLoad(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P4, P5")
	runRounds(t, "PostgreSQL crashed under load", func(t *testing.T) *fixture {
		server := ownDatabase(t, nil)
		f := newFixtureOn(t, sharedBroker(t).address(), server)
		producer := f.produce("--rate", "2000", "--seed", "30")
		consumer := f.consume()
		for range *databaseStops {
			f.storedMore(1_000)
			outages := consumer.outputCount("store unavailable, retrying with the same batch")
			server.crash(t)
			consumer.waitForOutputTimes("store unavailable, retrying with the same batch", outages+1)
			server.restart(t)
			f.pool.Reset()
			f.waitStoredAgain(outage{time.Now(), f.stored()})
		}
		f.storedMore(1_000)
		producer.interrupt()
		f.caughtUp(waitTimeout)
		consumer.interrupt()
		auditSending(t, f.audit())
		f.wantMembershipKept(consumer)
		f.wantNoDeadLetters()
		return f.withFaultsOf(databaseCrash, *databaseStops)
	})
}

// A long outage of the database causes lag only: no dead letters, no loss, no rebalance, no growth of memory.
func TestDatabaseAwayForLong(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P5, P9")
	runRounds(t, fmt.Sprintf("PostgreSQL unreachable for %v at 5,000 events/s", *outageFor), func(t *testing.T) *fixture {
		f := newFixture(t)
		proxy := f.useProxy()
		producer := f.produce("--rate", "5000", "--seed", "31")
		consumer := f.consume()
		f.warmUp(consumer, 20_000)
		proxy.disconnect()
		await(t, waitTimeout, func() string { // the server may still execute an earlier COMMIT
			if value[int64](t, f.pool, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'heartbeat%'`) > 0 {
				return "the consumer still has sessions"
			}
			return ""
		})
		stored := f.stored()
		elapse(t, *outageFor)
		if more := f.stored() - stored; more > 0 {
			t.Errorf("%d offsets were stored while the database was away", more)
		}
		backlog := f.lag()
		f.wantBoundedMemory(consumer)
		proxy.reconnect()
		f.stopAndAudit(producer, consumer)
		f.wantNoDeadLetters()
		t.Logf("backlog %d, caught up in %v", backlog, f.result.CaughtUp)
		return f.withFaults(1)
	})
}

// Every class of transient error is retried with the same batch, whatever its code.
func TestPassingErrorsAreWaitedOut(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"40001", "40P01", "53100", "53200", "53300", "55P03", "57014", "08006", "57P01"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			runRounds(t, "writes fail with SQLSTATE "+code, func(t *testing.T) *fixture {
				f := newFixture(t)
				const failures = 4
				f.failWrites(code, failures)
				producer := f.produce("--max-events", "3000", "--rate", "2000", "--seed", "35")
				producer.succeed(waitTimeout)
				f.drain()
				if tried := value[int64](t, f.pool, `SELECT last_value FROM failures`); tried <= failures {
					t.Errorf("%d of %d failures happened", tried, failures)
				}
				f.wantNoDeadLetters()
				auditSending(t, f.audit())
				return f.withFaults(failures)
			})
		})
	}
}

// An unclassified error stops the partition with an error in the log; it continues once the cause is repaired.
func TestUnforeseenErrorStopsLoudlyAndLosesNothing(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P5")
	runRounds(t, "unclassified database error", func(t *testing.T) *fixture {
		f := newFixture(t)
		f.failWrites("42501", 1)
		f.produce("--max-events", "2000", "--rate", "2000", "--seed", "36").succeed(waitTimeout)
		consumer := f.consume()
		consumer.waitForOutput("partition stopped: nothing is lost, but a person must repair the cause")
		f.caughtUp(waitTimeout)
		consumer.interrupt()
		f.wantNoDeadLetters()
		auditSending(t, f.audit())
		return f.withFaults(1)
	})
}

// failWrites makes the next writes of readings fail with the SQLSTATE. A sequence keeps its value when a transaction is
// rolled back, so it counts the failures.
func (f *fixture) failWrites(code string, times int) {
	f.t.Helper()
	_, err := f.pool.Exec(f.t.Context(), fmt.Sprintf(`
CREATE SEQUENCE failures;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('failures') <= %d THEN
        RAISE EXCEPTION 'a test makes this write fail' USING ERRCODE = '%s';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER fail BEFORE INSERT ON heartbeat_records FOR EACH STATEMENT EXECUTE FUNCTION fail()`, times, code))
	if err != nil {
		f.t.Fatalf("prepare failing writes: %v", err)
	}
}

// A full disk of the database is logged and retried; storing continues when there is space.
func TestDatabaseDiskFull(t *testing.T) {
	t.Parallel()
	proves(t, "P5, P9")
	runRounds(t, "database disk full", func(t *testing.T) *fixture {
		server := ownDatabase(t, nil)
		disk := newSmallDisk(t, server, 96<<20)
		f := &fixture{t: t, broker: sharedBroker(t).address(), database: disk.createDatabase(t)}
		f.setUp()
		producer := f.produce("--rate", "2000", "--seed", "38")
		consumer := f.consume()
		f.warmUp(consumer, 5_000)
		disk.fill(t)
		consumer.waitForOutput("53100")
		stored := f.stored()
		elapse(t, 5*time.Second)
		if more := f.stored() - stored; more > 50_000 {
			t.Errorf("%d offsets were stored on a full disk", more)
		}
		f.wantBoundedMemory(consumer)
		disk.empty(t)
		f.stopAndAudit(producer, consumer)
		f.wantNoDeadLetters()
		return f.withFaults(1)
	})
}

// A slow database and ten times the load increase lag, not memory. Every event is an anomaly: with its text
// and its alert it has three times the bytes of a normal one, so the proxy's rate is too low for 10,000 a second on any machine.
func TestSlowDatabaseMakesLagNotMemory(t *testing.T) {
	t.Parallel()
	proves(t, "P9")
	runRounds(t, fmt.Sprintf("database with 200 ms and 1 MB/s, ten times the load for %v", *burstFor), func(t *testing.T) *fixture {
		f := newFixture(t)
		proxy := f.useProxy()
		producer := f.produce("--rate", "1000", "--anomaly-rate", "1", "--seed", "39")
		consumer := f.consume()
		f.warmUp(consumer, 5_000)
		proxy.slow(200*time.Millisecond, 1<<20)
		producer.interrupt()
		burst := f.produce("--rate", "10000", "--anomaly-rate", "1", "--seed", "40")
		elapse(t, *burstFor/2)
		lag := f.lag()
		consumer.baselineMemory = consumer.memory() // with full buffers, which more lag must not make larger
		elapse(t, *burstFor/2)
		if more := f.lag() - lag; lag < 10_000 || more <= 0 {
			t.Errorf("lag is %d and grows by %d: the database was not slow enough to prove anything", lag, more)
		}
		f.wantBoundedMemory(consumer)
		t.Logf("lag %d", f.lag())
		proxy.slow(0, 0)
		f.stopAndAudit(burst, consumer)
		f.wantNoDeadLetters()
		return f.withFaults(1)
	})
}
