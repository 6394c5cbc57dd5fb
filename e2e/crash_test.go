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
)

var crashes = flag.Int("crashes", 8, "how often to kill the consumer at each of the named crash points")

// crashBinary is built with crash points, by the first test that needs it.
var crashBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "heartbeat-crashpoints")
	return path, build(path, "-tags", "crashpoints")
})

// A consumer that dies at the worst moments (rows inserted, COMMIT not sent; COMMIT done, nobody told) loses nothing
// and stores nothing twice.
func TestCrashAtNamedPointsLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	path, err := crashBinary()
	if err != nil {
		t.Fatal(err)
	}
	for i, point := range []string{"after-insert", "before-commit", "after-commit", "before-hint"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			rate := []string{"2000", "20000"}[i%2]
			producer := r.produce("--rate", rate, "--seed", fmt.Sprint(10+i))
			for crash := range *crashes {
				consumer := start(t, command{
					binary: path, arguments: r.consumeArguments(),
					environment: []string{fmt.Sprintf("HEARTBEAT_CRASH_POINT=%s@%d", point, 1+crash%7*3)},
				})
				consumer.wait(patience)
				if !strings.Contains(consumer.lines.String(), "crash point "+point+" reached") {
					t.Fatalf("the consumer ended without reaching %s:\n%s", point, tail(consumer.lines.String(), 30))
				}
			}
			producer.interrupt()
			r.drain()
			read := r.audit()
			auditSending(t, read)
			t.Logf("%d crashes %s at %s events/s, %d events", *crashes, point, rate, len(read.facts))
		})
	}
}

var cuts = flag.Int("cuts", 20, "how often to cut the database connection at COMMIT")

// A connection that is cut at COMMIT leaves the consumer in doubt; the progress row settles it, either way.
func TestConnectionCutAtCommitIsHarmless(t *testing.T) {
	t.Parallel()
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
	t.Logf("%d cuts before and %d after COMMIT", before, after)
}

var freezes = flag.Int("freezes", 5, "how often to stop a consumer beyond its session timeout")

// A consumer that was stopped for longer than the group waits comes back with a batch in hand: its write is refused.
func TestZombieCannotWrite(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	proxy := r.throughProxy()
	producer := r.produce("--rate", "2000", "--seed", "21")
	for freeze := range *freezes {
		zombie := r.consume()
		r.storedMore(1_000)
		proxy.suspend() // so that a batch is in hand for sure
		elapse(t, time.Second)
		zombie.signal(syscall.SIGSTOP)
		proxy.cut()
		proxy.resume()
		fences := value[int64](t, r.pool, `SELECT sum(fence)::bigint FROM ingest_progress`)
		heir := r.consumeDirectly()
		await(t, patience, func() string {
			if value[int64](t, r.pool, `SELECT sum(fence)::bigint FROM ingest_progress`) < fences+3 {
				return "the heir has not claimed the partitions"
			}
			return ""
		})
		r.storedMore(1_000)
		zombie.signal(syscall.SIGCONT)
		zombie.says("belongs to another consumer now")
		zombie.kill()
		r.storedMore(1_000)
		heir.interrupt()
		t.Logf("freeze %d: refused", freeze+1)
	}
	producer.interrupt()
	r.drain()
	auditSending(t, r.audit())
}
