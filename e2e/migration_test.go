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
			r := newRig(t)
			if _, err := r.pool.Exec(t.Context(), c.change); err != nil {
				t.Fatal(err)
			}
			consumer := r.consume()
			if code := consumer.wait(patience); code != 1 || consumer.said(c.says) == 0 {
				t.Errorf("ended with code %d, want 1 and the words %q:\n%s", code, c.says, consumer.lines)
			}
		})
	}
}

// A migration that is killed anywhere leaves whole steps behind, and the next one goes on.
func TestMigrationKilledHalfWay(t *testing.T) {
	t.Parallel()
	proves(t, "P1")
	server := sharedDatabase(t)
	applied := map[int64]bool{}
	for attempt := range *migrations {
		r := &rig{t: t, database: server.create(t)}
		r.pool = connect(t, r.database)
		killed := start(t, command{arguments: []string{"migrate"}, environment: []string{"DATABASE_URL=" + r.database}})
		if want := attempt % 5; want > 0 {
			await(t, patience, func() string {
				if r.migrated() < int64(want) && !killed.ended() {
					return fmt.Sprintf("fewer than %d migrations applied", want)
				}
				return ""
			})
		}
		killed.kill()
		applied[r.migrated()] = true
		r.run("migrate")
		r.broker = sharedBroker(t).address()
		r.topic = fmt.Sprintf("heartbeat-events-%d", shared.names.Add(1))
		createTopic(t, r.broker, r.topic, 3)
		r.group = r.topic
		r.produce("--max-events", "200", "--rate", "5000", "--seed", "70").succeed(patience)
		r.drain()
		r.audit()
	}
	if len(applied) < 2 {
		t.Errorf("every migration was killed at the same step: %v", applied)
	}
	t.Logf("killed after %v steps", applied)
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
	server := sharedDatabase(t)
	address := server.create(t)
	var crowd []*role
	for range 4 {
		crowd = append(crowd, start(t, command{arguments: []string{"migrate"}, environment: []string{"DATABASE_URL=" + address}}))
	}
	for _, one := range crowd {
		one.succeed(patience)
	}
	pool := connect(t, address)
	if twice := value[int64](t, pool, `SELECT count(*) - count(DISTINCT version) FROM schema_migrations`); twice > 0 {
		t.Errorf("%d migrations were applied twice", twice)
	}
}

// Customers whose clocks are wrong by hours or years lose nothing, and make no partitions of their own.
func TestStrayClocksStayBounded(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P9")
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
	r.done("customers' clocks wrong by hours and years", len(cases))
}
