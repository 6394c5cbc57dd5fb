package e2e_test

import (
	"flag"
	"fmt"
	"testing"
)

// kills is how often the consumer is killed at random times.
var kills = flag.Int("kills", 5, "how often to kill the consumer at random times")

// A consumer that is killed again and again in the midst of its work loses nothing and stores nothing twice.
func TestKilledConsumerLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P2, P6")
	r := newRig(t)
	producer := r.produce("--rate", "2000", "--seed", "1")
	for kill := range *kills {
		progress(t, "kills", kill, *kills)
		consumer := r.consume()
		r.storedMore(1_000 + int64(kill%5)*211)
		consumer.kill()
		if behind := r.behind(); behind == 0 {
			t.Errorf("kill %d hit an idle consumer: nothing was waiting to be stored", kill+1)
		}
	}
	producer.interrupt()
	r.drain()
	read := r.audit()
	auditSending(t, read)
	if acknowledged := len(readLedger(t, r.ledgers[0])); acknowledged != len(read.facts) {
		t.Errorf("the producer knows of %d acknowledged events, the topic holds %d", acknowledged, len(read.facts))
	}
	r.done("consumer killed at random times", *kills)
}

// behind returns how many offsets the topic holds that are not stored.
func (r *rig) behind() int64 {
	r.t.Helper()
	var ends int64
	for _, b := range topicBounds(r.t, r.broker, r.topic) {
		ends += b.end - b.start
	}
	return ends - r.stored()
}

// A consumer that is interrupted ends in good order: the next one has nothing to repair.
func TestInterruptedConsumerLeavesInGoodOrder(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P2")
	r := newRig(t)
	producer := r.produce("--rate", "2000", "--seed", "2")
	for range 3 {
		consumer := r.consume()
		r.storedMore(2_000)
		consumer.interrupt()
	}
	producer.interrupt()
	r.drain()
	auditSending(t, r.audit())
}

// Several consumers share the partitions, and the end of one is made up for by the others.
func TestConsumersShareThePartitions(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P3, P7")
	r := newRig(t)
	producer := r.produce("--rate", "2000", "--seed", "3")
	first, second := r.consume(), r.consume()
	await(t, patience, func() string {
		if owners := value[int64](t, r.pool, `SELECT count(DISTINCT owner) FROM ingest_progress`); owners < 2 {
			return fmt.Sprintf("%d consumers own partitions, want 2", owners)
		}
		return ""
	})
	first.kill()
	r.storedMore(10_000)
	producer.interrupt()
	r.caughtUp(patience)
	second.interrupt()
	auditSending(t, r.audit())
}
