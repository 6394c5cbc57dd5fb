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

// A consumer that dies at the worst moments (rows sent, COMMIT not; COMMIT sent, its answer not read; COMMIT done, nobody told) loses nothing
// and stores nothing twice.
func TestCrashAtNamedPointsLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	path, err := crashBinary()
	if err != nil {
		t.Fatal(err)
	}
	for i, point := range []string{"after-insert", "before-commit", "commit-sent", "after-commit", "before-hint"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			proves(t, "P1, P4, P6")
			repeat(t, "consumer killed "+point+", 2,000 and 20,000 events/s", func(t *testing.T) *rig {
				r := newRig(t)
				for _, rate := range killRates {
					producer := r.produce("--rate", rate, "--seed", fmt.Sprint(10+i))
					r.acknowledged(2_000)
					for crash := range *crashes {
						r.crash(producer, path, fmt.Sprintf("%s@%d", point, 1+crash%4))
					}
					producer.interrupt()
				}
				r.drain()
				auditSending(t, r.audit())
				return r.saw(*crashes * len(killRates))
			})
		})
	}
}

// crash starts a consumer that kills itself at the point, given as name@count.
func (r *rig) crash(producer *role, binary, point string) {
	r.t.Helper()
	consumer := r.consumeFresh(producer, command{
		binary: binary, arguments: r.consumeArguments("--instance-id", "crashing"), environment: []string{"HEARTBEAT_CRASH_POINT=" + point},
	})
	consumer.wait(patience)
	if name, _, _ := strings.Cut(point, "@"); consumer.said("crash point "+name+" reached") == 0 {
		r.t.Fatalf("the consumer ended without reaching %s:\n%s", point, tail(consumer.lines.String(), 30))
	}
}

var cuts = flag.Int("cuts", 20, "how often to cut the database connection at COMMIT")

// A connection that is cut at COMMIT leaves the consumer in doubt; the progress row settles it, either way.
func TestConnectionCutAtCommitIsHarmless(t *testing.T) {
	t.Parallel()
	proves(t, "P4")
	repeat(t, "connection cut at COMMIT, before and after it was done", func(t *testing.T) *rig {
		r := newRig(t)
		proxy := r.throughProxy()
		producer := r.produce("--rate", "2000", "--seed", "20")
		consumer := r.consume()
		for i := range *cuts {
			seen := proxy.before.Load() + proxy.after.Load()
			proxy.cutNextCommit([]commitFate{cutBefore, cutAfter}[i%2])
			await(t, patience, func() string {
				if proxy.before.Load()+proxy.after.Load() == seen {
					return "no COMMIT to cut"
				}
				return ""
			})
			r.storedMore(1_000)
		}
		producer.interrupt()
		r.caughtUp(patience)
		consumer.interrupt()
		before, after := proxy.before.Load(), proxy.after.Load()
		if before == 0 || after == 0 {
			t.Errorf("%d connections cut before and %d after the COMMIT was done, want both", before, after)
		}
		if told := strings.Count(consumer.lines.String(), "batch was committed although no answer came"); int64(told) != after {
			t.Errorf("the consumer found %d batches committed without an answer, want %d", told, after)
		}
		auditSending(t, r.audit())
		return r.saw(*cuts)
	})
}

var freezes = flag.Int("freezes", 5, "how often to stop a consumer beyond its session timeout")

// A consumer that was stopped for longer than the group waits has a batch under way that reaches the database after the
// heir's claim: the database refuses it.
func TestZombieCannotWrite(t *testing.T) {
	t.Parallel()
	proves(t, "P3")
	repeat(t, "consumer stopped beyond its session timeout, its write refused", func(t *testing.T) *rig {
		r := newRig(t)
		proxy := r.throughProxy()
		producer := r.produce("--rate", "2000", "--seed", "21")
		for freeze := range *freezes {
			zombie := r.consume()
			r.storedMore(1_000)
			r.freeze(zombie, proxy)
			// The heir claims and is held back as well: its claim alone must shut the zombie out.
			heirs := startProxy(t, proxy.target)
			held := heirs.holdNextWrite()
			heir := r.consumeBy(heirs.through(r.database))
			heir.saysTimes("partition claimed", 3)
			hold(t, held)
			refused := proxy.refused.Load()
			proxy.resume()
			await(t, patience, func() string {
				if proxy.refused.Load() == refused {
					return fmt.Sprintf("P3, freeze %d: the database has refused no write of the zombie", freeze+1)
				}
				return ""
			})
			heirs.resume()
			zombie.signal(syscall.SIGCONT)
			r.storedMore(1_000)
			if zombie.ended() {
				t.Errorf("freeze %d: the zombie ended instead of joining again", freeze+1)
			}
			zombie.kill()
			heir.interrupt()
		}
		producer.interrupt()
		r.drain()
		auditSending(t, r.audit())
		return r.saw(*freezes)
	})
}

// freeze stops the consumer when a batch is on its way to the database, and holds that back.
func (r *rig) freeze(consumer *role, proxy *proxy) {
	r.t.Helper()
	hold(r.t, proxy.holdNextWrite())
	consumer.signal(syscall.SIGSTOP)
}

// hold waits until a batch is held back.
func hold(t testing.TB, held <-chan struct{}) {
	t.Helper()
	await(t, patience, func() string {
		select {
		case <-held:
			return ""
		default:
			return "no batch to hold back"
		}
	})
}

// A claim that comes while a batch of the owner before is under way waits for that batch and goes on behind it.
func TestClaimWaitsForTheBatchUnderWay(t *testing.T) {
	t.Parallel()
	proves(t, "P3")
	repeat(t, "partition claimed while a batch of its owner is under way", func(t *testing.T) *rig {
		r := newRig(t)
		producer := r.produce("--rate", "2000", "--seed", "22")
		first := r.consume()
		r.storedMore(2_000)
		// Not the table is locked, for a starting consumer needs that too, but what a trigger on it waits for.
		if _, err := r.pool.Exec(t.Context(), `
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END';
CREATE TRIGGER wait BEFORE INSERT ON heartbeat_records FOR EACH STATEMENT EXECUTE FUNCTION wait()`); err != nil {
			t.Fatal(err)
		}
		lock, err := r.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lock.Exec(t.Context(), `SELECT pg_advisory_xact_lock(42)`); err != nil {
			t.Fatal(err)
		}
		waiting := func(query string, want int64) {
			t.Helper()
			await(t, patience, func() string {
				if n := value[int64](t, r.pool, query); n < want {
					return fmt.Sprintf("%d of %d sessions wait: %s", n, want, query)
				}
				return ""
			})
		}
		waiting(`SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, 3)
		second := r.consume("--group", r.group+"-other")
		waiting(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'`, 1)
		if err := lock.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		first.says("belongs to another consumer now")
		first.kill()
		r.storedMore(2_000)
		producer.interrupt()
		r.caughtUp(patience)
		if second.said("belongs to another consumer now") > 0 {
			t.Errorf("P3, the fence: the last to claim was shut out:\n%s", tail(second.lines.String(), 20))
		}
		second.interrupt()
		auditSending(t, r.audit())
		return r.saw(1)
	})
}

// What Kafka is told for lag tools never lies ahead of what is stored.
func TestHintNeverLiesAheadOfWhatIsStored(t *testing.T) {
	t.Parallel()
	proves(t, "P1")
	r := newRig(t)
	producer := r.produce("--rate", "2000", "--seed", "23")
	consumer := r.consume()
	r.warm(consumer, 5_000)
	unlock := r.lockRecords()
	elapse(t, 5*time.Second) // hints go out every second
	hints := r.hints()
	for partition, hint := range hints {
		if next := value[int64](t, r.pool, `SELECT next_offset FROM ingest_progress WHERE partition = $1`, partition); hint > next {
			t.Errorf("P1, partition %d: Kafka was told %d, stored is what lies below %d", partition, hint, next)
		}
	}
	if len(hints) < 3 {
		t.Errorf("Kafka has hints for %d partitions, want 3", len(hints))
	}
	unlock()
	r.finish(producer, consumer)
}

// hints returns the offsets that the consumer group has committed to Kafka.
func (r *rig) hints() map[int32]int64 {
	r.t.Helper()
	offsets, err := kadm.NewClient(client(r.t, r.broker)).FetchOffsets(r.t.Context(), r.group)
	if err != nil {
		r.t.Fatalf("fetch offsets of group %s: %v", r.group, err)
	}
	hints := map[int32]int64{}
	offsets.Each(func(o kadm.OffsetResponse) { hints[o.Partition] = o.At })
	return hints
}
