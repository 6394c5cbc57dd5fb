package ingest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
)

// fleetBatch returns a batch as a fleet of 10,000 sends it at 10,000 readings a second: 5.5 % are anomalies.
func fleetBatch(from, n int64) *pipeline.Batch {
	random := rand.New(rand.NewPCG(1, uint64(from)))
	start := time.Date(2026, 2, 20, 12, 0, 0, 0, time.UTC).Add(time.Duration(from) * 100 * time.Microsecond)
	batch := &pipeline.Batch{From: from, To: from + n, StateFrom: from}
	for i := range n {
		rate := 40 + random.Float64()*140
		if random.Float64() < 0.055 {
			rate = 181 + random.Float64()*200
		}
		class, bpm := heartbeat.Classify(rate)
		reading := heartbeat.Reading{
			Customer: heartbeat.CustomerID(1 + random.IntN(10_000)), Class: class, BPM: bpm,
			Time: start.Add(time.Duration(i) * 100 * time.Microsecond),
		}
		raw := fmt.Appendf(nil, `{"customer_id":"%s","heart_rate":%d,"timestamp":"%s"}`, reading.Customer, bpm, reading.Time.Format(time.RFC3339Nano))
		batch.Readings = append(batch.Readings, pipeline.Reading{Reading: reading, Offset: from + i, Raw: raw})
	}
	return batch
}

func TestEncodingABatchAgainAllocatesNothing(t *testing.T) {
	batch := fleetBatch(0, 1000)
	batch.Snapshot = &pipeline.Stats{Valid: 1}
	batch.Customers = []pipeline.CustomerState{{Reading: batch.Readings[0].Reading}}
	encoded := newEncodedBatch()
	encoded.encode("heartbeat-events", 0, batch)
	if allocs := testing.AllocsPerRun(10, func() { encoded.encode("heartbeat-events", 0, batch) }); allocs != 0 {
		t.Errorf("encoding allocates %v times, want none", allocs)
	}
}

func TestRowsAreSortedByCustomerThenOffset(t *testing.T) {
	t.Parallel()
	batch := fleetBatch(0, 1000)
	encoded := newEncodedBatch()
	encoded.encode("heartbeat-events", 0, batch)
	if len(encoded.normal)+len(encoded.abnormal) != len(batch.Readings) {
		t.Fatalf("%d records and %d anomalies of %d readings", len(encoded.normal), len(encoded.abnormal), len(batch.Readings))
	}
	for _, order := range [][]uint64{encoded.normal, encoded.abnormal} {
		for i := 1; i < len(order); i++ {
			before, after := batch.Readings[uint32(order[i-1])], batch.Readings[uint32(order[i])]
			if before.Customer > after.Customer || before.Customer == after.Customer && before.Offset > after.Offset {
				t.Fatalf("row %d is %v, behind %v", i, after.Reading, before.Reading)
			}
		}
	}
}

func TestBatchKeepsNoHugeBuffer(t *testing.T) {
	t.Parallel()
	batch := &pipeline.Batch{To: 100}
	for offset := range batch.To {
		batch.DeadLetters = append(batch.DeadLetters, heartbeat.DeadLetter{Offset: offset, Value: make([]byte, heartbeat.MaxDeadLetterBytes)})
	}
	encoded := newEncodedBatch()
	encoded.encode("heartbeat-events", 0, batch)
	encoded.trim()
	for i, buffer := range encoded.copies {
		if cap(buffer) > maxIdleBuffer {
			t.Errorf("%s keeps a buffer of %d bytes", copyTables[i].statement, cap(buffer))
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, size := range []int64{1, 100, 5000} {
		b.Run(fmt.Sprintf("readings=%d", size), func(b *testing.B) {
			batch := fleetBatch(0, size)
			encoded := newEncodedBatch()
			encoded.encode("heartbeat-events", 0, batch)
			b.ReportAllocs()
			for b.Loop() {
				encoded.encode("heartbeat-events", 0, batch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/reading")
		})
	}
}
