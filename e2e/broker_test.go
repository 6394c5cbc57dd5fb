package e2e_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/embedded"
)

// broker is what the tests need of a broker of either kind.
type broker interface {
	address() string
	stop()
}

// onApache tells whether this run is against Apache Kafka.
func onApache() bool { return os.Getenv("HEARTBEAT_TEST_BROKER") == "apache" }

// sharedBroker returns the broker that tests share.
func sharedBroker(t testing.TB) broker {
	t.Helper()
	s := &shared.broker
	s.once.Do(func() { s.server, s.err = startBroker() })
	if s.err != nil {
		t.Fatalf("start a broker for the tests: %v", s.err)
	}
	return s.server
}

func startBroker() (broker, error) {
	switch kind := os.Getenv("HEARTBEAT_TEST_BROKER"); kind {
	case "":
		return startEmbeddedBroker()
	default:
		return nil, fmt.Errorf("HEARTBEAT_TEST_BROKER=%s: want apache, or nothing for the embedded one", kind)
	}
}

type embeddedBroker struct{ *embedded.Broker }

func startEmbeddedBroker() (broker, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	b, err := embedded.StartBroker(ctx, embedded.BrokerOptions{})
	if err != nil {
		return nil, err
	}
	return embeddedBroker{b}, nil
}

func (b embeddedBroker) address() string { return b.Address() }

func (b embeddedBroker) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = b.Stop(ctx)
}

// client returns a Kafka client that goes with the test.
func client(t testing.TB, address string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	options = append([]kgo.Opt{kgo.SeedBrokers(address), kgo.MetadataMinAge(100 * time.Millisecond)}, options...)
	c, err := kgo.NewClient(options...)
	if err != nil {
		t.Fatalf("connect to broker: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

// createTopic makes a topic as the contract has it.
func createTopic(t testing.TB, address, topic string, partitions int32) {
	t.Helper()
	admin := kadm.NewClient(client(t, address))
	retention, policy := "86400000", "delete"
	_, err := admin.CreateTopic(t.Context(), partitions, -1, map[string]*string{"retention.ms": &retention, "cleanup.policy": &policy}, topic)
	if err != nil {
		t.Fatalf("create topic %s: %v", topic, err)
	}
}
