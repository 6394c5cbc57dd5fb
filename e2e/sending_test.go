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
)

var (
	producerKills = flag.Int("producer-kills", 5, "how often to kill the producer")
	brokerKills   = flag.Int("broker-kills", 3, "how often to kill a broker")
	brokerAway    = flag.Duration("broker-away", 30*time.Second, "how long the broker stays away from the producer")
)

// A producer that is killed leaves every event that it knows acknowledged in the topic, none twice, and so does one that
// has to wait for its broker.
func TestKilledProducer(t *testing.T) {
	t.Parallel()
	proves(t, "P1")
	kafka := sharedBroker(t)
	away := func() {} // the embedded broker lives in the process of the tests
	if onApache() {
		own := ownApache(t, apachekafka.Options{})
		kafka, away = own, func() { own.away(t, *brokerAway) }
	}
	repeat(t, "producer killed; on Apache Kafka the broker gone meanwhile", func(t *testing.T) *rig {
		r := rigOn(t, kafka.address(), sharedDatabase(t))
		consumer := r.consume()
		for kill := range *producerKills {
			producer := r.produce("--rate", "10000", "--seed", fmt.Sprint(80+kill))
			r.acknowledged(5_000)
			if kill == 0 {
				r.storedMore(1) // a consumer that has never met its broker does not wait for it
				away()
				r.acknowledged(5_000)
			}
			producer.kill()
		}
		r.caughtUp(patience)
		consumer.interrupt()
		auditSending(t, r.audit())
		return r.saw(*producerKills)
	})
}

// away kills the only broker and starts it again after a time.
func (b apacheBroker) away(t testing.TB, duration time.Duration) {
	t.Helper()
	if err := b.Node(1).Kill(); err != nil {
		t.Fatal(err)
	}
	elapse(t, duration)
	if err := b.Node(1).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// acknowledged waits until the last producer knows of so many more acknowledged events than now.
func (r *rig) acknowledged(more int) {
	r.t.Helper()
	have := func() int {
		text, _ := os.ReadFile(r.ledgers[len(r.ledgers)-1]) // the producer may not have begun
		return bytes.Count(text, []byte("\n"))
	}
	from := have()
	await(r.t, patience, func() string {
		if now := have(); now < from+more {
			return fmt.Sprintf("%d more events acknowledged, want %d", now-from, more)
		}
		return ""
	})
}

// apacheOnly is for what the embedded broker cannot suffer: it lives in the process of the tests. `make test` leaves out
// tests that are named for Apache.
func apacheOnly(t *testing.T) {
	t.Helper()
	if onApache() {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs Apache Kafka: make test-kafka runs it")
	}
	t.Skip("needs Apache Kafka: make test-kafka runs it")
}

// wantNothingLostBy ends the load and wants all of it stored, without a dead letter or an incident.
func (r *rig) wantNothingLostBy(producer, consumer *role) {
	r.t.Helper()
	producer.interrupt()
	r.caughtUp(patience)
	consumer.interrupt()
	auditSending(r.t, r.audit())
	r.wantNoDeadLetters()
	r.wantNoIncidents()
}

// A broker that is killed and comes back has what it acknowledged; producer and consumer go on by themselves.
func TestApacheBrokerKilledAndRestarted(t *testing.T) {
	apacheOnly(t)
	t.Parallel()
	proves(t, "P1, P8")
	repeat(t, "broker killed and restarted", func(t *testing.T) *rig {
		kafka := ownApache(t, apachekafka.Options{})
		r := rigOn(t, kafka.address(), sharedDatabase(t))
		producer := r.produce("--rate", "2000", "--seed", "90")
		consumer := r.consume()
		for kill := range *brokerKills {
			r.storedMore(3_000)
			kafka.away(t, []time.Duration{*brokerAway, 0}[min(kill, 1)])
		}
		r.storedMore(3_000)
		r.wantNothingLostBy(producer, consumer)
		return r.saw(*brokerKills)
	})
}

// Of three brokers the leader is killed, time and again: what two have acknowledged stays.
func TestApacheLeaderOfThreeKilled(t *testing.T) {
	apacheOnly(t)
	t.Parallel()
	proves(t, "P1, P8")
	repeat(t, "leader of three brokers killed", func(t *testing.T) *rig {
		kafka := ownApache(t, apachekafka.Options{Nodes: 3})
		r := rigOn(t, kafka.address(), sharedDatabase(t))
		producer := r.produce("--rate", "2000", "--seed", "91")
		consumer := r.consume()
		for range *brokerKills {
			r.storedMore(3_000)
			leader := kafka.Node(r.leader())
			if err := leader.Kill(); err != nil {
				t.Fatal(err)
			}
			r.storedMore(6_000) // without it
			if err := leader.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		r.wantNothingLostBy(producer, consumer)
		return r.saw(*brokerKills)
	})
}

// leader returns the number of the broker that leads partition 0.
func (r *rig) leader() int {
	r.t.Helper()
	topics, err := kadm.NewClient(client(r.t, r.broker)).ListTopics(r.t.Context(), r.topic)
	if err != nil {
		r.t.Fatalf("look for the leader: %v", err)
	}
	return int(topics[r.topic].Partitions[0].Leader)
}

// Of three brokers one is cut off from all clients by the network, with its connections open: events wait and arrive once.
func TestApacheBrokerPartitionedAway(t *testing.T) {
	apacheOnly(t)
	t.Parallel()
	proves(t, "P1, P8")
	repeat(t, "broker of three partitioned away", func(t *testing.T) *rig {
		proxies := map[int]*proxy{}
		kafka := ownApache(t, apachekafka.Options{Nodes: 3, Advertise: func(node int, address string) (string, error) {
			proxies[node] = startProxy(t, address)
			return proxies[node].listener.Addr().String(), nil
		}})
		r := rigOn(t, kafka.address(), sharedDatabase(t))
		producer := r.produce("--rate", "2000", "--seed", "92")
		consumer := r.consume()
		for range *brokerKills {
			r.storedMore(3_000)
			away := proxies[r.leader()]
			away.suspend()
			elapse(t, *brokerAway/4) // what had come before is stored by then
			stored := r.storedOf(0)
			elapse(t, *brokerAway/4)
			if more := r.storedOf(0) - stored; more > 0 {
				t.Errorf("%d records came from a broker that was cut off", more)
			}
			away.cut() // the network forgets the connections
			away.resume()
			r.storedMore(3_000)
		}
		r.wantNothingLostBy(producer, consumer)
		return r.saw(*brokerKills)
	})
}

// storedOf returns how far a partition is stored.
func (r *rig) storedOf(partition int32) int64 {
	r.t.Helper()
	return value[int64](r.t, r.pool, `SELECT next_offset FROM ingest_progress WHERE partition = $1`, partition)
}

// wantNoIncidents wants nothing to be on record as lost.
func (r *rig) wantNoIncidents() {
	r.t.Helper()
	if have := r.incidents(); len(have) > 0 {
		r.t.Errorf("P8, what was acknowledged is not lost: incidents are %+v", have)
	}
}
