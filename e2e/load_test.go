package e2e_test

import (
	"fmt"
	"os"
	"strings"
)

// warmUp waits until so many more offsets are stored and records the consumer's memory as the baseline.
func (f *fixture) warmUp(consumer *role, offsets int64) {
	f.t.Helper()
	f.storedMore(offsets)
	consumer.baselineMemory = consumer.memory()
}

// stopAndAudit stops the load, waits until everything is stored, and audits. The consumer must have kept its membership
// and its memory.
func (f *fixture) stopAndAudit(producer, consumer *role) {
	f.t.Helper()
	f.storedMore(1_000)
	producer.interrupt()
	f.caughtUp(longWaitTimeout)
	f.wantBoundedMemory(consumer)
	consumer.interrupt()
	f.wantMembershipKept(consumer)
	auditSending(f.t, f.audit())
}

// lockRecords blocks writes of readings until unlock is called.
func (f *fixture) lockRecords() (unlock func()) {
	f.t.Helper()
	lock, err := f.pool.Begin(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := lock.Exec(f.t.Context(), `LOCK TABLE heartbeat_records IN ACCESS EXCLUSIVE MODE`); err != nil {
		f.t.Fatal(err)
	}
	return func() {
		f.t.Helper()
		if err := lock.Rollback(f.t.Context()); err != nil {
			f.t.Fatal(err)
		}
	}
}

// wantMembershipKept checks that a consumer has kept its membership and its partitions from start to end: no rebalance, no fencing.
func (f *fixture) wantMembershipKept(consumer *role) {
	f.t.Helper()
	text := consumer.output.String()
	for phrase, most := range map[string]int{"partition claimed": 3, "group session lost": 0, "consumer session ended": 0, "belongs to another consumer now": 0} {
		if count := strings.Count(text, phrase); count > most {
			f.t.Errorf("the consumer lost its group membership: it logged %q %d times, want at most %d", phrase, count, most)
		}
	}
}

// wantNoDeadLetters checks that no outage has made a dead letter (P5).
func (f *fixture) wantNoDeadLetters() {
	f.t.Helper()
	if dead := value[int64](f.t, f.pool, `SELECT count(*) FROM dead_letters`); dead > 0 {
		f.t.Errorf("P5, an outage is never a dead letter: there are %d", dead)
	}
}

// memoryAllowance is the memory of full buffers in a consumer with the race detector.
const memoryAllowance = 224 << 20

// wantBoundedMemory checks that memory has not grown with the backlog (P9).
func (f *fixture) wantBoundedMemory(consumer *role) {
	f.t.Helper()
	now := consumer.memory()
	f.t.Logf("memory %d MB, %d MB when warm", now>>20, consumer.baselineMemory>>20)
	if now > consumer.baselineMemory+memoryAllowance {
		f.t.Errorf("P9, memory is bounded: it was %d MB before and is %d MB now", consumer.baselineMemory>>20, now>>20)
	}
}

// peakMemory returns the most resident memory that the process has had, 0 once it has ended. What rusage says of an ended process
// contains the memory of the one that started it.
func (r *role) peakMemory() (bytes int64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	for line := range strings.Lines(string(text)) {
		if kibibytes, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			_, _ = fmt.Sscan(kibibytes, &bytes) // a line of another form is 0
		}
	}
	return bytes << 10
}

// memory returns the resident memory of the process.
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
