package e2e_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"
)

var migrations = flag.Int("migrations", 10, "how often to kill a migration half-way")

// A consumer refuses a schema of another version and says what to do.
func TestConsumerRefusesAForeignSchema(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ change, message string }{
		"missing": {`DROP TABLE schema_migrations`, "run heartbeat migrate"},
		"older":   {`DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)`, "run heartbeat migrate"},
		"newer":   {`INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'from_the_future', '')`, "use a newer binary"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proves(t, "P1, P2")
			runRounds(t, "schema not the binary's: "+name, func(t *testing.T) *fixture {
				f := newFixture(t)
				f.produce("--max-events", "200", "--rate", "5000", "--seed", "71").succeed(waitTimeout)
				if _, err := f.pool.Exec(t.Context(), c.change); err != nil {
					t.Fatal(err)
				}
				consumer := f.consume()
				if code := consumer.wait(waitTimeout); code != 1 || consumer.outputCount(c.message) == 0 {
					t.Errorf("ended with code %d, want 1 and the message %q:\n%s", code, c.message, consumer.output)
				}
				if stored := f.stored(); stored > 0 {
					t.Errorf("%d offsets were stored in a foreign schema", stored)
				}
				return f.withFaults(1)
			})
		})
	}
}

// A killed migration leaves whole steps, and the next run continues.
func TestMigrationKilledHalfWay(t *testing.T) {
	t.Parallel()
	proves(t, "P1")
	runRounds(t, "migration killed half-way", func(t *testing.T) *fixture {
		total := &fixture{t: t}
		applied := map[int64]bool{}
		for attempt := range *migrations {
			f := &fixture{t: t, broker: sharedBroker(t).address(), database: sharedDatabase(t).create(t)}
			f.pool = connect(t, f.database)
			applied[f.killMigration(int64(attempt%5))] = true
			f.setUp()
			f.produce("--max-events", "200", "--rate", "5000", "--seed", "70").succeed(waitTimeout)
			f.drain()
			f.audit()
			total.result.addCounts(f.result)
		}
		if len(applied) < 2 {
			t.Errorf("every migration was killed at the same step: %v", applied)
		}
		t.Logf("killed after %v steps", applied)
		return total.withFaults(*migrations)
	})
}

// killMigration kills a migration after so many steps, and returns how many are applied.
func (f *fixture) killMigration(steps int64) int64 {
	f.t.Helper()
	killed := start(f.t, command{arguments: []string{"migrate"}, environment: []string{"DATABASE_URL=" + f.database}})
	await(f.t, waitTimeout, func() string {
		if f.migrationsApplied() < steps && !killed.ended() {
			return fmt.Sprintf("fewer than %d migrations applied", steps)
		}
		return ""
	})
	killed.kill()
	return f.migrationsApplied()
}

// migrationsApplied returns how many migrations are applied.
func (f *fixture) migrationsApplied() (steps int64) {
	if err := f.pool.QueryRow(f.t.Context(), `SELECT count(*) FROM schema_migrations`).Scan(&steps); err != nil {
		return 0 // the table does not exist yet
	}
	return steps
}

// One of several concurrent migrations applies the steps and the others wait for it.
func TestMigrationsAtOnce(t *testing.T) {
	t.Parallel()
	proves(t, "P1")
	runRounds(t, "four migrations at once", func(t *testing.T) *fixture {
		f := &fixture{t: t, broker: sharedBroker(t).address(), database: sharedDatabase(t).create(t)}
		var runs []*role
		for range 4 {
			runs = append(runs, start(t, command{arguments: []string{"migrate"}, environment: []string{"DATABASE_URL=" + f.database}}))
		}
		for _, one := range runs {
			one.succeed(waitTimeout)
		}
		f.setUp()
		if twice := value[int64](t, f.pool, `SELECT count(*) - count(DISTINCT version) FROM schema_migrations`); twice > 0 {
			t.Errorf("%d migrations were applied twice", twice)
		}
		f.produce("--max-events", "200", "--rate", "5000", "--seed", "72").succeed(waitTimeout)
		f.drain()
		f.audit()
		return f.withFaults(1)
	})
}

// Readings of clocks that are wrong by hours or years are not lost and create no table partitions.
func TestStrayClocksStayBounded(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P9")
	runRounds(t, "customers' clocks wrong by hours and years", func(t *testing.T) *fixture {
		f := newFixture(t)
		partitions := func() int64 {
			return value[int64](t, f.pool, `SELECT count(*) FROM pg_inherits`)
		}
		f.drain()
		before := partitions()
		now := time.Now().Truncate(time.Millisecond)
		var cases []boundaryCase
		for _, wrong := range []time.Duration{-20 * 365 * 24 * time.Hour, -400 * 24 * time.Hour, -49 * time.Hour, -25 * time.Hour, -3 * time.Hour, -time.Minute, 9 * time.Minute, 11 * time.Minute, 5 * time.Hour, 26 * time.Hour, 9000 * time.Hour} {
			for i := range 200 {
				at := now.Add(wrong).Add(time.Duration(i) * time.Microsecond)
				cases = append(cases, boundaryCase{value: event(fmt.Sprintf("CUST_%05d", 1+i), "75", formatTimestamp(at))})
			}
		}
		f.sendCases(cases, now)
		f.drain()
		f.audit()
		if after := partitions(); after > before+4 {
			t.Errorf("%d table partitions, %d before the wrong clocks: they created some", after, before)
		}
		if !strings.Contains(fmt.Sprint(texts(t, f.pool, `SELECT DISTINCT reason FROM dead_letters`)), "timestamp_out_of_range") {
			t.Error("no reading was out of range: the clocks were not wrong enough")
		}
		return f.withFaults(1)
	})
}
