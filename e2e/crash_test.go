package e2e_test

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

var crashes = flag.Int("crashes", 4, "how often to kill the consumer at each of the named crash points, at each of the two rates")

// crashBinary is built with crash points, by the first test that needs it.
var crashBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "heartbeat-crashpoints")
	return path, build(path, "-tags", "crashpoints")
})

// A consumer that dies at a named point of a transaction (rows sent; COMMIT sent; reply to COMMIT not read; committed but
// not announced) loses nothing and stores nothing twice.
func TestCrashAtNamedPointsLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	path, err := crashBinary()
	if err != nil {
		t.Fatal(err)
	}
	for i, point := range []string{"after-insert", "before-commit", "commit-sent", "after-commit", "before-offset-commit"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			proves(t, "P1, P4, P6")
			runRounds(t, "consumer killed "+point+", 2,000 and 20,000 events/s", func(t *testing.T) *fixture {
				f := newFixture(t)
				for _, rate := range killRates {
					for crash := range *crashes {
						f.crash(path, fmt.Sprintf("%s@%d", point, 1+crash%4), "--rate", rate, "--seed", fmt.Sprint(1000*i+crash))
					}
				}
				f.drain(crashingMember...)
				auditSending(t, f.audit())
				return f.withFaultsOf(consumerKill, *crashes*len(killRates))
			})
		})
	}
}

// crashingMember makes each consumer take over from the one before at once, without waiting for its session timeout.
var crashingMember = []string{"--instance-id", "crashing"}

// crash starts a consumer that kills itself at the point, given as name@count, and a producer when it has its partitions, so
// that the backlog does not grow with every restart.
func (f *fixture) crash(binary, point string, produce ...string) {
	f.t.Helper()
	consumer := start(f.t, command{
		binary: binary, arguments: f.consumeArguments(crashingMember...),
		environment: []string{"HEARTBEAT_CRASH_POINT=" + point, "DATABASE_URL=" + f.database},
	})
	consumer.waitForOutput("partition claimed")
	producer := f.produce(produce...)
	producer.waitForOutput("stream started") // from then on it ends in order
	consumer.wait(waitTimeout)
	producer.interrupt()
	if name, _, _ := strings.Cut(point, "@"); consumer.outputCount("crash point "+name+" reached") == 0 {
		f.t.Fatalf("the consumer ended without reaching %s:\n%s", point, tail(consumer.output.String(), 30))
	}
}

var cuts = flag.Int("cuts", 20, "how often to cut the database connection at COMMIT")

// A connection that is cut at COMMIT leaves the outcome unknown; the consumer learns it from the progress row.
func TestConnectionCutAtCommitIsHarmless(t *testing.T) {
	t.Parallel()
	proves(t, "P4")
	runRounds(t, "connection cut at COMMIT, before and after its execution", func(t *testing.T) *fixture {
		f := newFixture(t)
		proxy := f.useProxy()
		producer := f.produce("--rate", "2000", "--seed", "20")
		consumer := f.consume()
		for i := range *cuts {
			seen := proxy.cutsBefore.Load() + proxy.cutsAfter.Load()
			proxy.cutNextCommit([]commitAction{cutBeforeCommit, cutAfterCommit}[i%2])
			await(t, waitTimeout, func() string {
				if proxy.cutsBefore.Load()+proxy.cutsAfter.Load() == seen {
					return "no COMMIT to cut"
				}
				return ""
			})
			f.storedMore(500)
		}
		producer.interrupt()
		f.caughtUp(waitTimeout)
		consumer.interrupt()
		before, after := proxy.cutsBefore.Load(), proxy.cutsAfter.Load()
		if before == 0 || after == 0 {
			t.Errorf("%d connections cut before and %d after the COMMIT was done, want both", before, after)
		}
		// A batch without records moves no progress, so one that was cut is only repeated.
		if found := strings.Count(consumer.output.String(), "batch was committed although no answer came"); found == 0 || int64(found) > after {
			t.Errorf("the consumer found %d batches committed without a reply, want 1 to %d", found, after)
		}
		auditSending(t, f.audit())
		return f.withFaultsOf(unknownCommit, *cuts)
	})
}

var freezes = flag.Int("freezes", 3, "how often to stop a consumer beyond its session timeout")

// A consumer is stopped for longer than its session timeout while it writes a batch. The batch reaches the database after
// the next owner's claim: the database refuses it.
func TestZombieCannotWrite(t *testing.T) {
	t.Parallel()
	proves(t, "P3")
	runRounds(t, "consumer stopped beyond its session timeout, its write refused", func(t *testing.T) *fixture {
		f := newFixture(t)
		proxy := f.useProxy()
		producer := f.produce("--rate", "2000", "--seed", "21")
		for freeze := range *freezes {
			zombie := f.consume()
			f.storedMore(1_000)
			f.freeze(zombie, proxy)
			// The next owner claims and its write is held too: the claim alone must fence the zombie.
			ownerProxy := startProxy(t, proxy.target)
			held := ownerProxy.holdNextWrite()
			owner := f.consumeBy(ownerProxy.urlThrough(f.database))
			owner.waitForOutputTimes("partition claimed", 3)
			waitHeld(t, held)
			refused := proxy.refused.Load()
			proxy.resume()
			await(t, waitTimeout, func() string {
				if proxy.refused.Load() == refused {
					return fmt.Sprintf("P3, freeze %d: the database has refused no write of the zombie", freeze+1)
				}
				return ""
			})
			ownerProxy.resume()
			zombie.signal(syscall.SIGCONT)
			f.storedMore(1_000)
			if zombie.ended() {
				t.Errorf("freeze %d: the zombie ended instead of joining again", freeze+1)
			}
			zombie.kill()
			owner.interrupt()
		}
		producer.interrupt()
		f.drain()
		auditSending(t, f.audit())
		return f.withFaultsOf(zombieRefused, *freezes)
	})
}

// freeze holds the consumer's next batch in the proxy and stops the consumer.
func (f *fixture) freeze(consumer *role, proxy *proxy) {
	f.t.Helper()
	waitHeld(f.t, proxy.holdNextWrite())
	consumer.signal(syscall.SIGSTOP)
}

// waitHeld waits until the proxy holds a batch.
func waitHeld(t testing.TB, held <-chan struct{}) {
	t.Helper()
	await(t, waitTimeout, func() string {
		select {
		case <-held:
			return ""
		default:
			return "no batch to hold back"
		}
	})
}

// A claim during a transaction of the previous owner waits for that transaction and continues behind it.
func TestClaimWaitsForTheBatchUnderWay(t *testing.T) {
	t.Parallel()
	proves(t, "P3")
	runRounds(t, "partition claimed while a batch of its owner is under way", func(t *testing.T) *fixture {
		f := newFixture(t)
		producer := f.produce("--rate", "2000", "--seed", "22")
		first := f.consume()
		f.storedMore(2_000)
		// A trigger waits for an advisory lock. Locking the table itself would block the starting consumer too.
		if _, err := f.pool.Exec(t.Context(), `
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END';
CREATE TRIGGER wait BEFORE INSERT ON heartbeat_records FOR EACH STATEMENT EXECUTE FUNCTION wait()`); err != nil {
			t.Fatal(err)
		}
		lock, err := f.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lock.Exec(t.Context(), `SELECT pg_advisory_xact_lock(42)`); err != nil {
			t.Fatal(err)
		}
		waiting := func(query string, want int64) {
			t.Helper()
			await(t, waitTimeout, func() string {
				if n := value[int64](t, f.pool, query); n < want {
					return fmt.Sprintf("%d of %d sessions wait: %s", n, want, query)
				}
				return ""
			})
		}
		waiting(`SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, 3)
		second := f.consume("--group", f.group+"-other")
		waiting(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'`, 1)
		if err := lock.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		first.waitForOutput("belongs to another consumer now")
		first.kill()
		f.storedMore(2_000)
		producer.interrupt()
		f.caughtUp(waitTimeout)
		if second.outputCount("belongs to another consumer now") > 0 {
			t.Errorf("P3, the fence: the last to claim was fenced:\n%s", tail(second.output.String(), 20))
		}
		second.interrupt()
		auditSending(t, f.audit())
		return f.withFaults(1)
	})
}

// The offset committed to Kafka never exceeds the stored offset.
func TestCommittedOffsetNeverExceedsStoredOffset(t *testing.T) {
	t.Parallel()
	proves(t, "P1")
	f := newFixture(t)
	producer := f.produce("--rate", "2000", "--seed", "23")
	consumer := f.consume()
	f.warmUp(consumer, 5_000)
	unlock := f.lockRecords()
	elapse(t, 5*time.Second) // offsets are committed every second
	committed := f.committedOffsets()
	for partition, offset := range committed {
		if next := value[int64](t, f.pool, `SELECT next_offset FROM ingest_progress WHERE partition = $1`, partition); offset > next {
			t.Errorf("P1, partition %d: offset %d is committed to Kafka, but only offsets below %d are stored", partition, offset, next)
		}
	}
	if len(committed) < 3 {
		t.Errorf("the group has committed offsets for %d partitions, want 3", len(committed))
	}
	unlock()
	f.stopAndAudit(producer, consumer)
}

// committedOffsets returns the offsets that the consumer group has committed to Kafka.
func (f *fixture) committedOffsets() map[int32]int64 {
	f.t.Helper()
	offsets, err := kadm.NewClient(client(f.t, f.broker)).FetchOffsets(f.t.Context(), f.group)
	if err != nil {
		f.t.Fatalf("fetch offsets of group %s: %v", f.group, err)
	}
	committed := map[int32]int64{}
	offsets.Each(func(o kadm.OffsetResponse) { committed[o.Partition] = o.At })
	return committed
}
