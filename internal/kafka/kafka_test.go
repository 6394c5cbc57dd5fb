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
