package pipeline

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/repeat"
)

// BenchmarkProcess is everything that is ours between a fetched record and the store: decode, classify, batch, fold
// customer states, count.
func BenchmarkProcess(b *testing.B) {
	for _, size := range []int{1, 100, MaxBatch} {
		b.Run(fmt.Sprintf("records=%d", size), func(b *testing.B) { benchmarkProcess(b, size, false) })
		b.Run(fmt.Sprintf("records=%d,ids", size), func(b *testing.B) { benchmarkProcess(b, size, true) })
	}
}

func benchmarkProcess(b *testing.B, size int, ids bool) {
	logger := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))
	worker := NewWorker(Options{
		Partition: Partition{Topic: "heartbeat-events"}, Store: nowhere{},
		Meter: NewMeter(logger, prometheus.NewRegistry()), Logger: logger,
	})
	mustClaim(b, worker, LogBounds{})
	records := fleetRecords(size)
	if ids {
		for i := range records {
			records[i].ID = new(heartbeat.RecordID)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := worker.Process(b.Context(), records); err != nil {
			b.Fatal(err)
		}
		for i := range records {
			records[i].Offset += int64(size)
			if ids {
				binary.LittleEndian.PutUint64(records[i].ID[:], uint64(records[i].Offset)*0x9E3779B97F4A7C15)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/reading")
}

// fleetRecords are readings of 10,000 customers, one in twenty of them an anomaly.
func fleetRecords(n int) []heartbeat.Record {
	now := time.Now()
	records := make([]heartbeat.Record, n)
	for i := range records {
		draw := uint32(i) * 2654435761 // a multiplicative hash spreads them as a random draw would
		rate := heartbeat.BPM(60 + draw>>16%40)
		if i%20 == 0 {
			rate = 200
		}
		event := heartbeat.Event{Customer: heartbeat.CustomerID(draw%10_000 + 1), Rate: rate, Time: now}
		records[i] = heartbeat.Record{Offset: int64(i), Timestamp: now, Value: event.AppendJSON(nil)}
	}
	return records
}

// nowhere is a store that keeps nothing and agrees with everything.
type nowhere struct{}

func (nowhere) Claim(_ context.Context, p Partition, start int64) (Claim, error) {
	return Claim{Partition: p, Log: p.Topic, Next: start, StateFrom: start, Epoch: -1}, nil
}

func (nowhere) Position(_ context.Context, c Claim) (int64, error) { return c.Next, nil }

func (nowhere) RepeatWindow(context.Context, Claim) ([]repeat.Entry, error) { return nil, nil }

func (nowhere) Repeated(context.Context, Claim, int64, int64) (map[int64]bool, error) {
	return nil, nil
}

func (nowhere) Write(context.Context, Claim, *Batch) error { return nil }

func (nowhere) Record(_ context.Context, c Claim, _ Incident) (Claim, error) { return c, nil }
