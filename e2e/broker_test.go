package e2e_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	embedded "heartbeat/internal/embedded/broker"
	"heartbeat/internal/testkit/apachekafka"
)

// broker is a broker of either kind.
type broker interface {
	address() string
	stop()
}

// onApache reports whether this run uses Apache Kafka.
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
	case "apache":
		return startApache(apachekafka.Options{})
	default:
		return nil, fmt.Errorf("HEARTBEAT_TEST_BROKER=%s: want apache, or nothing for the embedded one", kind)
	}
}

type embeddedBroker struct{ *embedded.Broker }

func startEmbeddedBroker() (broker, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	// The tests' topics together are larger than what it keeps by default, and a topic must not lose what a test audits.
	b, err := embedded.Start(ctx, embedded.Options{RetainBytes: 64 << 30})
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

// apacheBroker is an Apache Kafka that the tests started.
type apacheBroker struct{ *apachekafka.Cluster }

func startApache(options apachekafka.Options) (apacheBroker, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	dir, err := os.MkdirTemp(scratch, "kafka-")
	if err != nil {
		return apacheBroker{}, err
	}
	options.Dir = dir
	cluster, err := apachekafka.Start(ctx, options)
	return apacheBroker{cluster}, err
}

func (b apacheBroker) address() string { return b.Bootstrap() }

func (b apacheBroker) stop() { _ = b.Close() } // its files are in the scratch directory

// ownApache returns an Apache Kafka for one test that injects faults into it.
func ownApache(t testing.TB, options apachekafka.Options) apacheBroker {
	t.Helper()
	apachekafka.Require(t)
	b, err := startApache(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.stop)
	return b
}

// client returns a Kafka client that is closed with the test.
func client(t testing.TB, address string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	options = append([]kgo.Opt{kgo.SeedBrokers(strings.Split(address, ",")...), kgo.MetadataMinAge(100 * time.Millisecond)}, options...)
	c, err := kgo.NewClient(options...)
	if err != nil {
		t.Fatalf("connect to broker: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

// createTopic creates a topic with the contract's settings.
func createTopic(t testing.TB, address, topic string, partitions int32) {
	t.Helper()
	admin := kadm.NewClient(client(t, address))
	retention, policy := "86400000", "delete"
	_, err := admin.CreateTopic(t.Context(), partitions, -1, map[string]*string{"retention.ms": &retention, "cleanup.policy": &policy}, topic)
	if err != nil {
		t.Fatalf("create topic %s: %v", topic, err)
	}
}
