// Package fakekafka gives a test a broker of its own inside the process, on sockets or on a network without them.
//
// It refuses to stand in for Apache Kafka where a test is about the broker: testkit/apachekafka starts that one.
// Its functions may be called by parallel tests. It is not on the path of a reading.
package fakekafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// VirtualAddress is where a broker listens that StartVirtual starts.
const VirtualAddress = "localhost:19092"

const virtualPort = 19092

// Start starts a broker that ends with the test.
func Start(t testing.TB, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, options...)...)
	if err != nil {
		t.Fatalf("start a broker: %v", err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// StartVirtual starts a broker on a network without sockets, which a synctest bubble needs.
func StartVirtual(t testing.TB, network *kfake.VirtualNetwork, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	return Start(t, append(options, kfake.ListenFn(network.Listen), kfake.Ports(virtualPort))...)
}
