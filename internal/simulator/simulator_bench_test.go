package simulator_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"heartbeat/internal/kafka"
	"heartbeat/internal/simulate"
	"heartbeat/internal/simulator"
)

// BenchmarkProduce runs the whole role, from the draw to the acknowledgement, as fast as it goes, against a broker in
// the same process that acknowledges and forgets.
func BenchmarkProduce(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprint("workers=", workers), func(b *testing.B) {
			const events = 1_000_000
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BlackholeProduce())
			if err != nil {
				b.Fatal(err)
			}
			defer cluster.Close()
			logger := slog.New(slog.DiscardHandler)
			b.ReportAllocs()
			runs := 0
			for b.Loop() {
				runs++
				err := simulator.Run(b.Context(), simulator.Options{
					Kafka:   kafka.Config{Brokers: cluster.ListenAddrs(), Topic: topic, Logger: logger},
					Fleet:   simulate.Options{Customers: 10_000, AnomalyRate: 0.05, InvalidRate: 0.005, Seed: 7},
					Workers: workers, Rate: 1e9, MaxEvents: events, Logger: logger,
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(runs)*events/b.Elapsed().Seconds(), "events/s")
		})
	}
}
