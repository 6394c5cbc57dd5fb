package e2e_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"heartbeat/internal/testkit/apachekafka"
	"heartbeat/internal/testkit/prerequisite"
)

var (
	producerKills = flag.Int("producer-kills", 5, "how often to kill the producer")
	brokerKills   = flag.Int("broker-kills", 3, "how often to kill a broker")
	brokerAway    = flag.Duration("broker-away", 15*time.Second, "how long the broker is down")
)

// The topic holds every event that a killed producer has seen acknowledged, none twice. The same holds for a producer that
// waits for its broker.
func TestKilledProducer(t *testing.T) {
	t.Parallel()
	proves(t, "P1")
	kafka := sharedBroker(t)
	away := func() {} // the embedded broker lives in the process of the tests
	if onApache() {
		own := ownApache(t, apachekafka.Options{})
		kafka, away = own, func() { own.killAndRestart(t, *brokerAway) }
	}
	runRounds(t, "producer killed; on Apache Kafka the broker gone meanwhile", func(t *testing.T) *fixture {
		f := newFixtureOn(t, kafka.address(), sharedDatabase(t))
		consumer := f.consume()
		for kill := range *producerKills {
			producer := f.produce("--rate", "10000", "--seed", fmt.Sprint(80+kill))
			f.acknowledgedMore(5_000)
			if kill == 0 {
				f.storedMore(1) // a consumer that has never met its broker does not wait for it
				away()
				f.acknowledgedMore(5_000)
			}
			producer.kill()
		}
		f.caughtUp(waitTimeout)
		consumer.interrupt()
		auditSending(t, f.audit())
		return f.withFaults(*producerKills)
	})
}

// killAndRestart kills the only broker and starts it again after the given time.
func (b apacheBroker) killAndRestart(t testing.TB, duration time.Duration) {
	t.Helper()
	if err := b.Node(1).Kill(); err != nil {
		t.Fatal(err)
	}
	elapse(t, duration)
	if err := b.Node(1).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// acknowledgedMore waits until the last producer has logged so many more acknowledgements than now.
func (f *fixture) acknowledgedMore(more int) {
	f.t.Helper()
	have := func() int {
		text, _ := os.ReadFile(f.ackLogs[len(f.ackLogs)-1]) // the producer may not have begun
		return bytes.Count(text, []byte("\n"))
	}
	from := have()
	await(f.t, waitTimeout, func() string {
		if now := have(); now < from+more {
			return fmt.Sprintf("%d more events acknowledged, want %d", now-from, more)
		}
		return ""
	})
}

// apacheOnly skips a test whose fault the embedded broker cannot suffer, because it runs in the process of the tests.
func apacheOnly(t *testing.T) {
	t.Helper()
	if onApache() {
		return
	}
	prerequisite.Missing(t, "needs Apache Kafka: make test-kafka runs it")
}

// stopAndWantNothingLost stops the load and checks that all of it is stored, without a dead letter or an incident.
func (f *fixture) stopAndWantNothingLost(producer, consumer *role) {
	f.t.Helper()
	producer.interrupt()
	f.caughtUp(waitTimeout)
	consumer.interrupt()
	auditSending(f.t, f.audit())
	f.wantNoDeadLetters()
	f.wantNoIncidents()
}

// A broker that is killed and restarted retains what it acknowledged; producer and consumer continue by themselves.
func TestApacheBrokerKilledAndRestarted(t *testing.T) {
	apacheOnly(t)
	t.Parallel()
	proves(t, "P1, P8")
	runRounds(t, "broker killed and restarted", func(t *testing.T) *fixture {
		kafka := ownApache(t, apachekafka.Options{})
		f := newFixtureOn(t, kafka.address(), sharedDatabase(t))
		producer := f.produce("--rate", "2000", "--seed", "90")
		consumer := f.consume()
		for kill := range *brokerKills {
			f.storedMore(3_000)
			kafka.killAndRestart(t, []time.Duration{*brokerAway, 0}[min(kill, 1)])
			f.waitStoredAgain(outage{time.Now(), f.stored()})
		}
		f.storedMore(3_000)
		f.stopAndWantNothingLost(producer, consumer)
		return f.withFaultsOf(brokerKill, *brokerKills)
	})
}

// The leader of three brokers is killed repeatedly: what two have acknowledged stays.
func TestApacheLeaderOfThreeKilled(t *testing.T) {
	apacheOnly(t)
	t.Parallel()
	proves(t, "P1, P8")
	runRounds(t, "leader of three brokers killed", func(t *testing.T) *fixture {
		kafka := ownApache(t, apachekafka.Options{Nodes: 3})
		f := newFixtureOn(t, kafka.address(), sharedDatabase(t))
		producer := f.produce("--rate", "2000", "--seed", "91")
		consumer := f.consume()
		for range *brokerKills {
			f.storedMore(3_000)
			leader := kafka.Node(f.leader())
			if err := leader.Kill(); err != nil {
				t.Fatal(err)
			}
			f.storedMore(6_000) // without it
			if err := leader.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		f.stopAndWantNothingLost(producer, consumer)
		return f.withFaultsOf(brokerKill, *brokerKills)
	})
}

// leader returns the number of the broker that leads partition 0.
func (f *fixture) leader() int {
	f.t.Helper()
	topics, err := kadm.NewClient(client(f.t, f.broker)).ListTopics(f.t.Context(), f.topic)
	if err != nil {
		f.t.Fatalf("look for the leader: %v", err)
	}
	return int(topics[f.topic].Partitions[0].Leader)
}

// One of three brokers is partitioned from all clients with its connections open: events wait and arrive once.
func TestApacheBrokerPartitionedAway(t *testing.T) {
	apacheOnly(t)
	t.Parallel()
	proves(t, "P1, P8")
	runRounds(t, "broker of three partitioned away", func(t *testing.T) *fixture {
		proxies := map[int]*proxy{}
		kafka := ownApache(t, apachekafka.Options{Nodes: 3, Advertise: func(node int, address string) (string, error) {
			proxies[node] = startProxy(t, address)
			return proxies[node].listener.Addr().String(), nil
		}})
		f := newFixtureOn(t, kafka.address(), sharedDatabase(t))
		producer := f.produce("--rate", "2000", "--seed", "92")
		consumer := f.consume()
		for range *brokerKills {
			f.storedMore(3_000)
			away := proxies[f.leader()]
			away.suspend()
			elapse(t, *brokerAway/4) // earlier records are stored by then
			stored := f.storedOf(0)
			elapse(t, *brokerAway/4)
			if more := f.storedOf(0) - stored; more > 0 {
				t.Errorf("%d records came from a broker that was cut off", more)
			}
			away.cut() // as a network does that drops its state
			away.resume()
			f.storedMore(3_000)
		}
		f.stopAndWantNothingLost(producer, consumer)
		return f.withFaults(*brokerKills)
	})
}

// storedOf returns the next offset of a partition.
func (f *fixture) storedOf(partition int32) int64 {
	f.t.Helper()
	return value[int64](f.t, f.pool, `SELECT next_offset FROM ingest_progress WHERE partition = $1`, partition)
}

// wantNoIncidents checks that no loss is recorded.
func (f *fixture) wantNoIncidents() {
	f.t.Helper()
	if have := f.incidents(); len(have) > 0 {
		f.t.Errorf("P8, what was acknowledged is not lost: incidents are %+v", have)
	}
}
