package producer_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/testkit/fakekafka"
)

// BenchmarkProducer sends events to a broker that acknowledges and forgets, in the same process: what is measured is
// encoding, batching and compression, and the broker's share of the processor.
func BenchmarkProducer(b *testing.B) {
	for _, compression := range []producer.Compression{producer.Gzip, producer.Zstd, producer.LZ4, producer.Snappy, producer.None} {
		b.Run(string(compression), func(b *testing.B) {
			cluster := fakekafka.Start(b, kfake.BlackholeProduce())
			sender := newProducer(b, producer.Config{
				Config:      kafka.Config{Brokers: cluster.ListenAddrs(), Topic: topic},
				Compression: compression,
			})
			b.ReportAllocs()
			var sent int64
			for b.Loop() {
				// A multiplicative hash spreads the customers and rates, as a random draw would.
				draw := uint32(sent) * 2654435761
				event := heartbeat.Event{Customer: heartbeat.CustomerID(draw%10_000 + 1), Rate: heartbeat.BPM(40 + draw>>16%100), Time: time.Now()}
				if err := sender.Send(event); err != nil {
					b.Fatal(err)
				}
				sent++
			}
			if err := sender.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(sent)/b.Elapsed().Seconds(), "events/s")
			if got := sender.Acknowledged(); got != sent {
				b.Fatalf("%d of %d events acknowledged", got, sent)
			}
		})
	}
}
