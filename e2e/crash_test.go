package e2e_test

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
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
			r.arrived(2_000)
			for crash := range *crashes {
				producer.signal(syscall.SIGSTOP) // what comes while a consumer starts proves nothing
				consumer := start(t, command{
					binary: path, arguments: r.consumeArguments("--instance-id", "crashing"),
					environment: []string{"DATABASE_URL=" + r.database, fmt.Sprintf("HEARTBEAT_CRASH_POINT=%s@%d", point, 1+crash%4)},
				})
				consumer.says("partition claimed")
				producer.signal(syscall.SIGCONT)
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

// A consumer that was stopped for longer than the group waits has a batch under way that reaches the database after the
// heir's claim: the database refuses it.
func TestZombieCannotWrite(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	proxy := r.throughProxy()
	producer := r.produce("--rate", "2000", "--seed", "21")
	for freeze := range *freezes {
		zombie := r.consume()
		r.storedMore(1_000)
		r.freeze(zombie, proxy)
		heir := r.consumeDirectly()
		r.claimedAnew(heir)
		r.storedMore(1_000)
		refused := proxy.refused.Load()
		proxy.resume()
		await(t, patience, func() string {
			if proxy.refused.Load() == refused {
				return fmt.Sprintf("freeze %d: the database has refused no write", freeze+1)
			}
			return ""
		})
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
	t.Logf("%d freezes, %d writes refused", *freezes, proxy.refused.Load())
}

// freeze stops the consumer when a batch is on its way to the database, and holds that back.
func (r *rig) freeze(consumer *role, proxy *proxy) {
	r.t.Helper()
	held := proxy.holdNextWrite()
	select {
	case <-held:
	case <-r.t.Context().Done():
		r.t.Fatal("no batch to hold back")
	}
	consumer.signal(syscall.SIGSTOP)
}

// claimedAnew waits until the consumer has claimed all partitions.
func (r *rig) claimedAnew(consumer *role) {
	r.t.Helper()
	consumer.saysTimes("partition claimed", 3)
}
