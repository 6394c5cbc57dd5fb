package bench

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"heartbeat/internal/postgres"
	"heartbeat/internal/process"
)

// How often a drain looks how far the consumer is: rarely while there is far to go, for looking costs what it measures.
const (
	lookEvery   = 5 * time.Millisecond
	lookSeldom  = 250 * time.Millisecond
	looksToCome = 4 // in the time that is left
)

// drained is what a drain tells.
type drained struct {
	pace
	rowsPerTransaction float64
	walPerReading      float64
	tablePerReading    float64 // heartbeat_records alone, with its indexes
	diskPerReading     float64 // everything
	resident           int64   // most memory that the consumer held
}

// drain lets the real consumer store the topic into an empty database.
func (s *stage) drain(ctx context.Context, t *topic) (drained, error) {
	db, err := s.database(ctx)
	if err != nil {
		return drained{}, err
	}
	defer db.drop()
	result, err := db.drain(ctx, t)
	if err != nil {
		return result, err
	}
	return result, db.examine(ctx, t.content, &result)
}

// drain lets the real consumer store what is missing of the topic. The clock runs from the first transaction seen to the
// last: starting up and joining a group are not what is measured.
func (d *database) drain(ctx context.Context, t *topic, options ...string) (result drained, err error) {
	_, stored, err := d.stored(ctx, t)
	if err != nil {
		return result, err
	}
	wal, err := d.yardstick.WAL(ctx)
	if err != nil {
		return result, err
	}
	began := time.Now()
	consumer, err := d.consume(t, options...)
	if err != nil {
		return result, err
	}
	defer func() {
		err = errors.Join(err, consumer.Stop(context.Background(), stopTime, syscall.SIGTERM))
	}()
	first, err := d.await(ctx, t, consumer, stored+1)
	if err != nil {
		return result, err
	}
	before := d.stage.spent(consumer.Pid())
	last, err := d.await(ctx, t, consumer, t.offsets())
	if err != nil {
		return result, err
	}
	after := d.stage.spent(consumer.Pid())
	if last.stored == first.stored { // too few to be seen under way: starting up is all there was
		first = sight{began, stored}
	}
	readings := last.stored - first.stored
	result.pace = pace{float64(readings) / last.at.Sub(first.at).Seconds(), after.since(before, readings)}
	result.resident = residentPeak(consumer.Pid())
	walAfter, err := d.yardstick.WAL(ctx)
	if err != nil {
		return result, err
	}
	result.walPerReading = float64(walAfter-wal) / float64(t.offsets()-stored)
	return result, nil
}

// sight is how far the consumer was seen at a time.
type sight struct {
	at     time.Time
	stored int64
}

// await waits until at least so many offsets are stored.
func (d *database) await(ctx context.Context, t *topic, consumer *process.Process, want int64) (sight, error) {
	var first sight
	for {
		_, stored, err := d.stored(ctx, t)
		if err != nil {
			return sight{}, err
		}
		now := sight{time.Now(), stored}
		if stored >= want {
			return now, nil
		}
		if first.at.IsZero() {
			first = now
		}
		select {
		case <-ctx.Done():
			return sight{}, ctx.Err()
		case <-consumer.Done():
			return sight{}, consumer.Err()
		case <-time.After(now.untilNext(first, want)):
		}
	}
}

// untilNext is when to look again, given how it went so far.
func (s sight) untilNext(first sight, want int64) time.Duration {
	done := s.stored - first.stored
	if done == 0 {
		return lookEvery
	}
	left := time.Duration(float64(s.at.Sub(first.at)) * float64(want-s.stored) / float64(done))
	return min(max(left/looksToCome, lookEvery), lookSeldom)
}

// examine counts and measures the tables. A speed at which rows are lost or doubled is none.
func (d *database) examine(ctx context.Context, want postgres.Content, result *drained) error {
	got, err := d.verify(ctx, want)
	if err != nil {
		return err
	}
	sizes, err := d.yardstick.Sizes(ctx)
	if err != nil {
		return err
	}
	result.rowsPerTransaction = float64(got.Records+got.Anomalies) / float64(got.Transactions)
	result.tablePerReading = recordBytes(sizes, got)
	result.diskPerReading = float64(sizes.Everything) / float64(got.Records+got.Anomalies)
	return nil
}

func recordBytes(sizes postgres.Sizes, content postgres.Content) float64 {
	return float64(sizes.RecordTable+sizes.RecordIndexes) / float64(content.Records)
}

// verify compares the tables with what was sent.
func (d *database) verify(ctx context.Context, want postgres.Content) (got postgres.Content, err error) {
	if got, err = d.yardstick.Count(ctx); err != nil {
		return got, err
	}
	want.Transactions = got.Transactions
	if got != want {
		return got, fmt.Errorf("count rows: %+v are stored, want %+v: the figures of this run are worth nothing", got, want)
	}
	return got, nil
}
