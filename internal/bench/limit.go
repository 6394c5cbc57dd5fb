package bench

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres"
)

// pace is how fast something went and what it cost.
type pace struct {
	perSecond float64
	usage     Usage
}

// limit copies the rows of the topic into an empty database with nothing around it: rows encoded beforehand, as many
// sessions as partitions, transactions of so many readings.
func (s *stage) limit(ctx context.Context, t *topic, sorted bool, perTransaction int) (pace, error) {
	db, err := s.database(ctx)
	if err != nil {
		return pace{}, err
	}
	defer db.drop()
	batches := make([][]*postgres.BareBatch, t.partitions)
	for number := range batches {
		batches[number] = encode(t, number, sorted, perTransaction)
	}
	before, began := s.spent(0), time.Now()
	group, groupCtx := errgroup.WithContext(ctx)
	for _, own := range batches {
		group.Go(func() error { return db.yardstick.BareCopy(groupCtx, own) })
	}
	if err := group.Wait(); err != nil {
		return pace{}, err
	}
	took, after := time.Since(began), s.spent(0)
	if _, err := db.verify(ctx, t.content); err != nil {
		return pace{}, err
	}
	return pace{float64(t.offsets()) / took.Seconds(), after.since(before, t.offsets())}, nil
}

func encode(t *topic, number int, sorted bool, perTransaction int) []*postgres.BareBatch {
	var batches []*postgres.BareBatch
	readings := t.readings[number]
	for len(readings) > 0 {
		size := min(len(readings), perTransaction)
		batch := &pipeline.Batch{Readings: readings[:size]}
		batches = append(batches, postgres.EncodeBare(t.name, int32(number), batch, sorted))
		readings = readings[size:]
	}
	return batches
}
