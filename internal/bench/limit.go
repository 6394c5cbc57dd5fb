package bench

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/ingest"
)

// limit copies the topic's rows into an empty database by COPY alone: rows encoded beforehand, one session a partition,
// transactions of the given number of readings.
func (e *environment) limit(ctx context.Context, t *topic, sorted bool, perTransaction int) (throughput, error) {
	db, err := e.database(ctx)
	if err != nil {
		return throughput{}, err
	}
	defer db.drop()
	batches := make([][]*ingest.EncodedRows, t.partitions)
	for number := range batches {
		batches[number] = encode(t, number, sorted, perTransaction)
	}
	before, began := e.processorTime(0), time.Now()
	group, groupCtx := errgroup.WithContext(ctx)
	for _, own := range batches {
		group.Go(func() error { return db.probe.CopyBaseline(groupCtx, own) })
	}
	if err := group.Wait(); err != nil {
		return throughput{}, err
	}
	took, after := time.Since(began), e.processorTime(0)
	if _, err := db.verify(ctx, t.content); err != nil {
		return throughput{}, err
	}
	return throughput{float64(t.offsets()) / took.Seconds(), after.since(before, t.offsets())}, nil
}

func encode(t *topic, number int, sorted bool, perTransaction int) []*ingest.EncodedRows {
	var batches []*ingest.EncodedRows
	readings := t.readings[number]
	for len(readings) > 0 {
		size := min(len(readings), perTransaction)
		batch := &pipeline.Batch{Readings: readings[:size]}
		batches = append(batches, ingest.EncodeRows(t.name, int32(number), batch, sorted))
		readings = readings[size:]
	}
	return batches
}
