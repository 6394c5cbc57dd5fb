package e2e_test

import (
	"flag"
	"fmt"
	"syscall"
	"testing"
)

var kills = flag.Int("kills", 4, "how often to kill the consumer at random times, at each of the two rates")

// killRates are the events a second under which consumers are killed.
var killRates = [...]string{"2000", "20000"}

// A consumer that is killed again and again in the midst of its work loses nothing and stores nothing twice.
func TestKilledConsumerLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	for i, rate := range killRates {
		t.Run(rate, func(t *testing.T) {
			t.Parallel()
			proves(t, "P1, P2, P6")
			repeat(t, "consumer killed at random times, "+rate+" events/s", func(t *testing.T) *rig {
				r := newRig(t)
				producer := r.produce("--rate", rate, "--seed", fmt.Sprint(1+i))
				for kill := range *kills {
					consumer := r.consumeFresh(producer, command{arguments: r.consumeArguments()})
					r.storedMore(1_000 + int64(kill%5)*211)
					consumer.kill()
					r.wantBehind()
				}
				producer.interrupt()
				r.drain()
				read := r.audit()
				auditSending(t, read)
				if acknowledged := len(readLedger(t, r.ledgers[0])); acknowledged != len(read.facts) {
					t.Errorf("the producer knows of %d acknowledged events, the topic holds %d", acknowledged, len(read.facts))
				}
				return r.saw(*kills)
			})
		})
	}
}

// consumeFresh starts a consumer and stops the producer until it has its partitions: what comes while a consumer starts
// proves nothing, and the next would drown in it.
func (r *rig) consumeFresh(producer *role, c command) *role {
	r.t.Helper()
	producer.signal(syscall.SIGSTOP)
	c.environment = append(c.environment, "DATABASE_URL="+r.database)
	consumer := start(r.t, c)
	consumer.says("partition claimed")
	producer.signal(syscall.SIGCONT)
	return consumer
}

// wantBehind wants the topic to hold more than is stored: whoever was killed was killed under load.
func (r *rig) wantBehind() {
	r.t.Helper()
	await(r.t, patience, func() string {
		if r.behind() == 0 {
			return "the kill hit an idle consumer: nothing is waiting to be stored"
		}
		return ""
	})
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
