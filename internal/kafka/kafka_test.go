package kafka_test

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/kafka"
)

const topic = "heartbeat-events"

// newCluster starts a broker for the test.
func newCluster(t testing.TB, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// newVirtualCluster starts a broker that listens on a network without sockets, which a synctest bubble needs.
func newVirtualCluster(t testing.TB, network *kfake.VirtualNetwork, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	return newCluster(t, append(options, kfake.ListenFn(network.Listen), kfake.Ports(virtualPort))...)
}

const (
	virtualPort    = 19092
	virtualAddress = "localhost:19092"
)

func configFor(cluster *kfake.Cluster) kafka.Config {
	return kafka.Config{Brokers: cluster.ListenAddrs(), Topic: topic}
}

func newProducer(t testing.TB, config kafka.ProducerConfig) *kafka.Producer {
	t.Helper()
	producer, err := kafka.NewProducer(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return producer
}

// readTopic returns the first n records of the topic, per partition in order.
func readTopic(t testing.TB, cluster *kfake.Cluster, n int) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(cluster.ListenAddrs()...),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var records []*kgo.Record
	for len(records) < n {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(records), n, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func newAdmin(t testing.TB, cluster *kfake.Cluster) *kadm.Client {
	t.Helper()
	admin, err := kadm.NewOptClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	return admin
}

// logBuffer collects log lines.
type logBuffer struct {
	mu    sync.Mutex // guards bytes
	bytes bytes.Buffer
}

func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.Write(line)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.String()
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
