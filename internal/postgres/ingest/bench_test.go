package ingest_test

import (
	"fmt"
	"testing"

	"heartbeat/internal/postgres/pgtest"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/ingest"
)

// The server of tests does not fsync, so these compare ways of writing and say little about a disk.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int64{1, 100, 5000} {
		b.Run(fmt.Sprintf("readings=%d", size), func(b *testing.B) {
			store, _ := pgtest.NewStore(b)
			claim := pgtest.MustClaim(b, store, pgtest.Partition, 0)
			batches := fleetBatches(size)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				batch := next(batches, i, &claim)
				if err := store.Write(b.Context(), claim, batch); err != nil {
					b.Fatal(err)
				}
				claim.Next = batch.To
			}
			b.ReportMetric(float64(b.N)*float64(size)/b.Elapsed().Seconds(), "readings/s")
		})
	}
}

// BenchmarkCopy is the limit that Write is measured against: the same rows and nothing else.
func BenchmarkCopy(b *testing.B) {
	const size = 5000
	for name, sorted := range map[string]bool{"sorted": true, "unsorted": false} {
		b.Run(name, func(b *testing.B) {
			_, pool := pgtest.NewStore(b)
			conn, err := pool.Acquire(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Release()
			batches := fleetBatches(size)
			claim := pipeline.Claim{}
			for i := 0; b.Loop(); i++ {
				batch := next(batches, i, &claim)
				if err := ingest.EncodeRows("heartbeat-events", 0, batch, sorted).Copy(b.Context(), conn.Conn()); err != nil {
					b.Fatal(err)
				}
				claim.Next = batch.To
			}
			b.ReportMetric(float64(b.N)*size/b.Elapsed().Seconds(), "readings/s")
		})
	}
}

func fleetBatches(size int64) []*pipeline.Batch {
	batches := make([]*pipeline.Batch, 40)
	for i := range batches {
		batches[i] = ingest.FleetBatch(int64(i)*size, size)
	}
	return batches
}

// next returns a batch that follows the claim's position. Readings are used again and again; their offsets may repeat,
// for nothing looks at them.
func next(batches []*pipeline.Batch, i int, claim *pipeline.Claim) *pipeline.Batch {
	batch := batches[i%len(batches)]
	batch.From, batch.To = claim.Next, claim.Next+int64(len(batch.Readings))
	return batch
}
