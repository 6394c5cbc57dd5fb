package kafka_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/kafka"
)

const topic = "heartbeat-events"

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
