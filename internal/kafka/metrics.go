package kafka

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"
)

// metrics returns the option that counts a client's connections, bytes, batches and records as heartbeat_kafka_*, with
// the label client for its role. Brokers, topics and partitions are not labels, so the number of series is fixed. A
// registry holds one client per role; the series end when the client is closed.
func (c Config) metrics(role string) []kgo.Opt {
	if c.Registry == nil || role == "" {
		return nil
	}
	return []kgo.Opt{kgo.WithHooks(kprom.NewMetrics("heartbeat",
		kprom.Subsystem("kafka"),
		kprom.Registerer(c.Registry),
		kprom.WithStaticLabel(prometheus.Labels{"client": role}),
		kprom.BrokerLabels(), // none
		kprom.FetchAndProduceDetail(kprom.Batches, kprom.Records, kprom.CompressedBytes, kprom.UncompressedBytes, kprom.ConsistentNaming),
		kprom.HistogramsFromOpts(kprom.HistogramOpts{
			Enable: kprom.RequestDurationE2E, Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}),
		kprom.NativeBucketFactor(1), // classic buckets only
	))}
}
