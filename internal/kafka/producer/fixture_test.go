package producer_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
)

const topic = "heartbeat-events"

func configFor(cluster *kfake.Cluster) kafka.Config {
	return kafka.Config{Brokers: cluster.ListenAddrs(), Topic: topic}
}

func newProducer(t testing.TB, config producer.Config) *producer.Producer {
	t.Helper()
	p, err := producer.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return p
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
