package bench

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"heartbeat/internal/bench/probe"
	"heartbeat/internal/bench/procstat"
	"heartbeat/internal/process"
)

// How often a drain polls the consumer's progress: rarely while much is left, because polling disturbs the measurement.
const (
	pollFast  = 5 * time.Millisecond
	pollSlow  = 250 * time.Millisecond
	pollsLeft = 4 // in the remaining time
)

// drainResult is the result of a drain.
type drainResult struct {
	throughput
	rowsPerTransaction float64
	walPerReading      float64
	tablePerReading    float64 // heartbeat_records alone, with its indexes
	diskPerReading     float64 // all tables
	resident           int64   // maximum of the consumer's memory
}

// drain runs the consumer on the topic with an empty database.
func (e *environment) drain(ctx context.Context, t *topic) (drainResult, error) {
	db, err := e.database(ctx)
	if err != nil {
		return drainResult{}, err
	}
	defer db.drop()
	result, err := db.drain(ctx, t)
	if err != nil {
		return result, err
	}
	return result, db.examine(ctx, t.content, &result)
}

// drain runs the consumer until the topic is stored. It is timed from the first observed transaction to the last, without the
// time to start and to join the group.
func (d *database) drain(ctx context.Context, t *topic, options ...string) (result drainResult, err error) {
	_, stored, err := d.stored(ctx, t)
	if err != nil {
		return result, err
	}
	wal, err := d.probe.WAL(ctx)
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
	before := d.environment.processorTime(consumer.Pid())
	last, err := d.await(ctx, t, consumer, t.offsets())
	if err != nil {
		return result, err
	}
	after := d.environment.processorTime(consumer.Pid())
	if last.stored == first.stored { // too few to observe progress: time the whole run
		first = observation{began, stored}
	}
	readings := last.stored - first.stored
	result.throughput = throughput{float64(readings) / last.at.Sub(first.at).Seconds(), after.since(before, readings)}
	result.resident = procstat.ResidentPeak(consumer.Pid())
	walAfter, err := d.probe.WAL(ctx)
	if err != nil {
		return result, err
	}
	result.walPerReading = float64(walAfter-wal) / float64(t.offsets()-stored)
	return result, nil
}

// observation is the consumer's progress at a time.
type observation struct {
	at     time.Time
	stored int64
}

// await waits until at least the wanted number of offsets is stored.
func (d *database) await(ctx context.Context, t *topic, consumer *process.Process, want int64) (observation, error) {
	var first observation
	for {
		_, stored, err := d.stored(ctx, t)
		if err != nil {
			return observation{}, err
		}
		now := observation{time.Now(), stored}
		if stored >= want {
			return now, nil
		}
		if first.at.IsZero() {
			first = now
		}
		select {
		case <-ctx.Done():
			return observation{}, ctx.Err()
		case <-consumer.Done():
			return observation{}, consumer.Err()
		case <-time.After(now.untilNext(first, want)):
		}
	}
}

// untilNext returns when to poll again, by the speed so far.
func (o observation) untilNext(first observation, want int64) time.Duration {
	done := o.stored - first.stored
	if done == 0 {
		return pollFast
	}
	left := time.Duration(float64(o.at.Sub(first.at)) * float64(want-o.stored) / float64(done))
	return min(max(left/pollsLeft, pollFast), pollSlow)
}

// examine counts the rows and measures the tables. Lost or doubled rows are an error.
func (d *database) examine(ctx context.Context, want probe.Content, result *drainResult) error {
	got, err := d.verify(ctx, want)
	if err != nil {
		return err
	}
	sizes, err := d.probe.Sizes(ctx)
	if err != nil {
		return err
	}
	result.rowsPerTransaction = float64(got.Records+got.Anomalies) / float64(got.Transactions)
	result.tablePerReading = recordBytes(sizes, got)
	result.diskPerReading = float64(sizes.Everything) / float64(got.Records+got.Anomalies)
	return nil
}

func recordBytes(sizes probe.Sizes, content probe.Content) float64 {
	return float64(sizes.RecordTable+sizes.RecordIndexes) / float64(content.Records)
}

// verify compares the tables with what was sent.
func (d *database) verify(ctx context.Context, want probe.Content) (got probe.Content, err error) {
	if got, err = d.probe.Count(ctx); err != nil {
		return got, err
	}
	want.Transactions = got.Transactions
	if got != want {
		return got, fmt.Errorf("count rows: %+v are stored, want %+v: the figures of this run are void", got, want)
	}
	return got, nil
}
