package pipeline

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
)

// unknownCustomers is a store that has no states and no alarms. Silence is not looked for.
type unknownCustomers struct {
	nowhere
	SilenceStore
}

func (unknownCustomers) DetectorStates(context.Context, Claim, []heartbeat.CustomerID) ([]DetectorState, error) {
	return nil, nil
}

func (unknownCustomers) DeadLettered(context.Context, Claim, int64, int64) (map[int64]bool, error) {
	return nil, nil
}

func (unknownCustomers) Episodes(context.Context, []heartbeat.CustomerID, bool) ([]StoredEpisode, error) {
	return nil, nil
}

// perCustomer returns the heap that a worker needs for each of so many customers, all of whom have sent readings that no snapshot
// contains yet.
func perCustomer(t testing.TB, customers int, withDetection bool) float64 {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	options := Options{
		Partition: Partition{Topic: "heartbeat-events"}, Store: unknownCustomers{}, Meter: NewMeter(logger, prometheus.NewRegistry()), Logger: logger,
	}
	if withDetection {
		options.Detection = &Detection{Settings: detect.DefaultSettings(), Limits: defaultLimits(t), Store: unknownCustomers{}}
	}
	worker := NewWorker(options)
	mustClaim(t, worker, LogBounds{})
	now := time.Now()
	before := heapInUse()
	records := make([]heartbeat.Record, 0, MaxBatch)
	for offset := range 2 * customers {
		event := heartbeat.Event{Customer: heartbeat.CustomerID(offset%customers + 1), Rate: 75, Time: now.Add(time.Duration(offset/customers) * 5 * time.Second)}
		records = append(records, heartbeat.Record{Offset: int64(offset), Timestamp: event.Time, Value: event.AppendJSON(nil)})
		if len(records) == cap(records) || offset == 2*customers-1 {
			if err := worker.Process(t.Context(), records); err != nil {
				t.Fatal(err)
			}
			records = records[:0]
		}
	}
	clear(records[:cap(records)])
	each := float64(heapInUse()-before) / float64(customers)
	runtime.KeepAlive(worker)
	return each
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkMillionCustomers reports the memory of a worker with a million customers, with detection and without.
func BenchmarkMillionCustomers(b *testing.B) {
	for name, withDetection := range map[string]bool{"detection": true, "none": false} {
		b.Run(name, func(b *testing.B) {
			each := 0.0
			for b.Loop() {
				each = perCustomer(b, 1_000_000, withDetection)
			}
			b.ReportMetric(each, "B/customer")
			b.ReportMetric(each*1_000_000/(1<<20), "MiB")
		})
	}
}

// A million customers fit the consumer's 1 GiB (alarms.md), with half of it free. Not parallel: it reads the size of the heap.
func TestCustomersFitTheConsumer(t *testing.T) {
	const customers = 150_000
	each := perCustomer(t, customers, true)
	t.Logf("%.0f bytes a customer", each)
	if each > 512 {
		t.Errorf("a customer takes %.0f bytes of a worker, want at most 512", each)
	}
}
