package e2e_test

import (
	"fmt"
	"os"
	"strings"
)

// warm waits until so many more offsets are stored than now and notes how much memory the consumer occupies.
func (r *rig) warm(consumer *role, offsets int64) {
	r.t.Helper()
	r.storedMore(offsets)
	consumer.warm = consumer.memory()
}

// finish ends the load, waits until everything is stored, and audits. The consumer must have kept its place in the group
// and its memory.
func (r *rig) finish(producer, consumer *role) {
	r.t.Helper()
	r.storedMore(1_000)
	producer.interrupt()
	r.caughtUp(longPatience)
	r.wantFlat(consumer)
	consumer.interrupt()
	r.wantUnbroken(consumer)
	auditSending(r.t, r.audit())
}

// lockRecords lets nobody write readings until it is undone.
func (r *rig) lockRecords() (unlock func()) {
	r.t.Helper()
	lock, err := r.pool.Begin(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := lock.Exec(r.t.Context(), `LOCK TABLE heartbeat_records IN ACCESS EXCLUSIVE MODE`); err != nil {
		r.t.Fatal(err)
	}
	return func() {
		r.t.Helper()
		if err := lock.Rollback(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
	}
}

// wantUnbroken wants a consumer to have kept its membership and its partitions from start to end.
func (r *rig) wantUnbroken(consumer *role) {
	r.t.Helper()
	text := consumer.lines.String()
	for phrase, most := range map[string]int{"partition claimed": 3, "group session lost": 0, "consumer session ended": 0} {
		if said := strings.Count(text, phrase); said > most {
			r.t.Errorf("the consumer lost its place in the group: it says %q %d times, want at most %d", phrase, said, most)
		}
	}
}

// wantNoDeadLetters wants good data to be stored as data, whatever happened (P5).
func (r *rig) wantNoDeadLetters() {
	r.t.Helper()
	if dead := value[int64](r.t, r.pool, `SELECT count(*) FROM dead_letters`); dead > 0 {
		r.t.Errorf("P5, an outage is never a dead letter: there are %d", dead)
	}
}

// memoryAllowance is by how much a race-checked consumer with full buffers may exceed one with empty buffers.
const memoryAllowance = 224 << 20

// wantFlat wants memory not to have grown with the backlog (P9).
func (r *rig) wantFlat(consumer *role) {
	r.t.Helper()
	now := consumer.memory()
	r.t.Logf("memory %d MB, %d MB when warm", now>>20, consumer.warm>>20)
	if now > consumer.warm+memoryAllowance {
		r.t.Errorf("P9, memory is bounded: it was %d MB before and is %d MB now", consumer.warm>>20, now>>20)
	}
}

// memory returns how much memory the process occupies.
func (r *role) memory() int64 {
	r.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", r.cmd.Process.Pid))
	if err != nil {
		r.t.Fatalf("read memory of %s: %v", r.name, err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		r.t.Fatalf("read memory of %s: %v", r.name, err)
	}
	return resident * int64(os.Getpagesize())
}
