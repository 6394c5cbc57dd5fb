package e2e_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"
)

var migrations = flag.Int("migrations", 10, "how often to kill a migration half-way")

// A consumer refuses a schema that is not its own, and says what to do.
func TestConsumerRefusesAForeignSchema(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ change, says string }{
		"missing": {`DROP TABLE schema_migrations`, "run heartbeat migrate"},
		"older":   {`DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)`, "run heartbeat migrate"},
		"newer":   {`INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'from_the_future', '')`, "use a newer binary"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proves(t, "P1, P2")
			repeat(t, "schema not the binary's: "+name, func(t *testing.T) *rig {
				r := newRig(t)
				r.produce("--max-events", "200", "--rate", "5000", "--seed", "71").succeed(patience)
				if _, err := r.pool.Exec(t.Context(), c.change); err != nil {
					t.Fatal(err)
				}
				consumer := r.consume()
				if code := consumer.wait(patience); code != 1 || consumer.said(c.says) == 0 {
					t.Errorf("ended with code %d, want 1 and the words %q:\n%s", code, c.says, consumer.lines)
				}
				if stored := r.stored(); stored > 0 {
					t.Errorf("%d offsets were stored in a foreign schema", stored)
				}
				return r.saw(1)
			})
		})
	}
}

// A migration that is killed anywhere leaves whole steps behind, and the next one goes on.
func TestMigrationKilledHalfWay(t *testing.T) {
	t.Parallel()
	proves(t, "P1")
	repeat(t, "migration killed half-way", func(t *testing.T) *rig {
		all := &rig{t: t}
		applied := map[int64]bool{}
		for attempt := range *migrations {
			r := &rig{t: t, broker: sharedBroker(t).address(), database: sharedDatabase(t).create(t)}
			r.pool = connect(t, r.database)
			applied[r.migrateKilled(int64(attempt%5))] = true
			r.setUp()
			r.produce("--max-events", "200", "--rate", "5000", "--seed", "70").succeed(patience)
			r.drain()
			r.audit()
			all.tally.merge(r.tally)
		}
		if len(applied) < 2 {
			t.Errorf("every migration was killed at the same step: %v", applied)
		}
		t.Logf("killed after %v steps", applied)
		return all.saw(*migrations)
	})
}

// migrateKilled kills a migration once it has done so many steps, and returns how many it had done.
func (r *rig) migrateKilled(steps int64) int64 {
	r.t.Helper()
	killed := start(r.t, command{arguments: []string{"migrate"}, environment: []string{"DATABASE_URL=" + r.database}})
	await(r.t, patience, func() string {
		if r.migrated() < steps && !killed.ended() {
			return fmt.Sprintf("fewer than %d migrations applied", steps)
		}
		return ""
	})
	killed.kill()
	return r.migrated()
}

// migrated returns how many migrations are applied.
func (r *rig) migrated() (steps int64) {
	if err := r.pool.QueryRow(r.t.Context(), `SELECT count(*) FROM schema_migrations`).Scan(&steps); err != nil {
		return 0 // there is no ledger yet
	}
	return steps
}

// Of several migrations at once one does it and the others wait for it.
func TestMigrationsAtOnce(t *testing.T) {
	t.Parallel()
	proves(t, "P1")
	repeat(t, "four migrations at once", func(t *testing.T) *rig {
		r := &rig{t: t, broker: sharedBroker(t).address(), database: sharedDatabase(t).create(t)}
		var crowd []*role
		for range 4 {
			crowd = append(crowd, start(t, command{arguments: []string{"migrate"}, environment: []string{"DATABASE_URL=" + r.database}}))
		}
		for _, one := range crowd {
			one.succeed(patience)
		}
		r.setUp()
		if twice := value[int64](t, r.pool, `SELECT count(*) - count(DISTINCT version) FROM schema_migrations`); twice > 0 {
			t.Errorf("%d migrations were applied twice", twice)
		}
		r.produce("--max-events", "200", "--rate", "5000", "--seed", "72").succeed(patience)
		r.drain()
		r.audit()
		return r.saw(1)
	})
}

// Customers whose clocks are wrong by hours or years lose nothing, and make no partitions of their own.
func TestStrayClocksStayBounded(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P9")
	repeat(t, "customers' clocks wrong by hours and years", func(t *testing.T) *rig {
		r := newRig(t)
		partitions := func() int64 {
			return value[int64](t, r.pool, `SELECT count(*) FROM pg_inherits`)
		}
		r.drain()
		before := partitions()
		now := time.Now().Truncate(time.Millisecond)
		var cases []boundaryCase
		for _, wrong := range []time.Duration{-20 * 365 * 24 * time.Hour, -400 * 24 * time.Hour, -49 * time.Hour, -25 * time.Hour, -3 * time.Hour, -time.Minute, 9 * time.Minute, 11 * time.Minute, 5 * time.Hour, 26 * time.Hour, 9000 * time.Hour} {
			for i := range 200 {
				at := now.Add(wrong).Add(time.Duration(i) * time.Microsecond)
				cases = append(cases, boundaryCase{value: event(fmt.Sprintf("CUST_%05d", 1+i), "75", stamp(at))})
			}
		}
		r.sendCases(cases, now)
		r.drain()
		r.audit()
		if after := partitions(); after > before+4 {
			t.Errorf("%d table partitions, %d before wrong clocks: they made their own", after, before)
		}
		if !strings.Contains(fmt.Sprint(texts(t, r.pool, `SELECT DISTINCT reason FROM dead_letters`)), "timestamp_out_of_range") {
			t.Error("no reading was out of range: the clocks were not wrong enough")
		}
		return r.saw(1)
	})
}
