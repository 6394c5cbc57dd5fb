package e2e_test

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var kills = flag.Int("kills", 4, "how often to kill the consumer at random times, restarted in place and replaced on another host")

// killRates are the events a second under which consumers are killed.
var killRates = [...]string{"2000", "20000"}

// A consumer that is killed repeatedly under load loses nothing and stores nothing twice.
func TestKilledConsumerLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		name, rate string
		sameHost   bool // the next consumer finds the instance id that the killed one kept in its state directory
	}{
		{"restarted in place", killRates[0], true},
		{"replaced on another host", killRates[1], false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			proves(t, "P1, P2, P6")
			runRounds(t, fmt.Sprintf("consumer killed at random times and %s, %s events/s", c.name, c.rate), func(t *testing.T) *fixture {
				f := newFixture(t)
				home := t.TempDir()
				var last outage
				for kill := range *kills {
					if !c.sameHost {
						home = t.TempDir()
					}
					consumer := f.consumeIn(home)
					consumer.waitForOutput("partition claimed")
					// A producer for each kill: one that is only paused sends afterwards what was due, and the oracle holds every record.
					producer := f.produce("--rate", c.rate, "--seed", fmt.Sprint(100*i+kill))
					if kill > 0 {
						f.waitStoredAgain(last)
					}
					f.storedMore(1_000 + int64(kill%5)*211)
					last = f.killConsumer(consumer)
					f.wantLag()
					producer.interrupt()
				}
				f.drain()
				read := f.audit()
				auditSending(t, read)
				acknowledged := 0
				for _, ackLog := range f.ackLogs {
					acknowledged += len(readAckLog(t, ackLog))
				}
				if acknowledged != len(read.records) {
					t.Errorf("the producers know of %d acknowledged events, the topic holds %d", acknowledged, len(read.records))
				}
				return f.withFaultsOf(consumerKill, *kills)
			})
		})
	}
}

// outage is the time after the only consumer was killed, or a server restarted.
type outage struct {
	began  time.Time
	stored int64 // offsets
}

// killConsumer kills the only consumer and waits until the server has ended its sessions: none of its transactions commits later.
func (f *fixture) killConsumer(consumer *role) outage {
	f.t.Helper()
	began := time.Now()
	consumer.kill()
	await(f.t, waitTimeout, func() string {
		if value[int64](f.t, f.pool, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'heartbeat%'`) > 0 {
			return "the killed consumer still has sessions"
		}
		return ""
	})
	return outage{began, f.stored()}
}

// waitStoredAgain waits until more readings are stored, and adds the time blind to the result.
func (f *fixture) waitStoredAgain(o outage) {
	f.t.Helper()
	await(f.t, waitTimeout, func() string {
		if f.stored() == o.stored {
			return "nothing is stored after the kill"
		}
		return ""
	})
	f.addBlind(time.Since(o.began))
}

// wantLag checks that the topic holds more than is stored: the killed consumer was under load.
func (f *fixture) wantLag() {
	f.t.Helper()
	await(f.t, waitTimeout, func() string {
		if f.lag() == 0 {
			return "the kill hit an idle consumer: nothing is waiting to be stored"
		}
		return ""
	})
}

// lag returns how many offsets of the topic are not stored.
func (f *fixture) lag() int64 {
	f.t.Helper()
	var ends int64
	for _, b := range topicBounds(f.t, f.broker, f.topic) {
		ends += b.end - b.start
	}
	return ends - f.stored()
}

// An interrupted consumer stops cleanly: the next one has nothing to repair.
func TestInterruptedConsumerLeavesNothingToRepair(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P2")
	f := newFixture(t)
	producer := f.produce("--rate", "2000", "--seed", "2")
	for range 3 {
		consumer := f.consume()
		f.storedMore(2_000)
		consumer.interrupt()
	}
	producer.interrupt()
	f.drain()
	auditSending(t, f.audit())
}

// Several consumers share the partitions, and the others take over those of a killed one.
func TestConsumersShareThePartitions(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P3, P7")
	f := newFixture(t)
	producer := f.produce("--rate", "2000", "--seed", "3")
	first, second := f.consume(), f.consume()
	await(t, waitTimeout, func() string {
		if owners := value[int64](t, f.pool, `SELECT count(DISTINCT owner) FROM ingest_progress`); owners < 2 {
			return fmt.Sprintf("%d consumers own partitions, want 2", owners)
		}
		return ""
	})
	first.kill()
	f.storedMore(10_000)
	producer.interrupt()
	f.caughtUp(waitTimeout)
	second.interrupt()
	auditSending(t, f.audit())
}
