package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"heartbeat/internal/heartbeat"
)

// MaxBatch is the largest number of records that Process takes at once: one transaction's worth.
const MaxBatch = 30_000

// flushMost is how many customer states go into a transaction of their own.
const flushMost = 5_000

// Log is what the broker knows of a partition's offsets.
type Log interface {
	// Bounds returns the first retained offset and the one behind the last. It fails when the topic of this id is gone.
	Bounds(ctx context.Context, partition Partition) (start, end int64, err error)
	// EpochEnd returns the offset at which the records of a leader epoch and of those before it end, -1 when the broker
	// cannot tell.
	EpochEnd(ctx context.Context, partition Partition, epoch int32) (end int64, err error)
}

// Options set up a Worker.
type Options struct {
	Partition Partition
	Store     Store
	Log       Log
	Meter     *Meter
	Retention time.Duration // how old a reading may be against its Kafka timestamp; 0: as old as it likes
	Logger    *slog.Logger
}

// Worker carries one partition's records into the store, in order, each exactly once.
type Worker struct {
	partition Partition
	store     Store
	log       Log
	meter     *Meter
	logger    *slog.Logger

	decoder heartbeat.Decoder
	room    []Reading // of the last batch's readings, which the next one's take
	claim   Claim
	behind  customers // readings stored, their customer states not yet
	whole   bool      // behind has all of them: the replay after the claim is over
	flushed time.Time
}

// NewWorker returns a worker that must Claim its partition before it can process.
func NewWorker(options Options) *Worker {
	return &Worker{
		partition: options.Partition,
		store:     options.Store,
		log:       options.Log,
		meter:     options.Meter,
		logger:    options.Logger.With("partition", options.Partition.Number),
		decoder:   heartbeat.Decoder{Retention: options.Retention},
		behind:    newCustomers(),
	}
}

// Process stores records, which follow one another in the partition's order, and returns when they are committed. It
// waits out any outage. It fails only with the context's error, or with an error of kind Fenced when the partition
// belongs to somebody else. At most MaxBatch records go into one transaction, so give it no more.
func (w *Worker) Process(ctx context.Context, records []heartbeat.Record) error {
	w.replay(records)
	batch := w.build(w.claim, records)
	if batch.To == batch.From {
		return nil
	}
	w.include(batch, w.due())
	err := w.write(ctx, batch)
	if KindOf(err) != BadData {
		return err
	}
	w.logger.Warn("batch refused by the database, searching the record", "from", batch.From, "to", batch.To, "error", err)
	return w.bisect(ctx, records)
}

// Idle does what waits for a batch to go along with, when none has come for a while.
func (w *Worker) Idle(ctx context.Context) error {
	w.meter.idle()
	return w.Flush(ctx)
}

// Flush stores the customer states in hand without a batch: before the partition is given back, nobody may come after
// us. In the middle of a replay it leaves them to the next owner, who replays from the same offset.
func (w *Worker) Flush(ctx context.Context) error {
	for w.whole && len(w.behind.queue) > 0 {
		batch := &Batch{From: w.claim.Next, To: w.claim.Next, Epoch: w.claim.Epoch}
		w.include(batch, min(flushMost, len(w.behind.queue)))
		if err := w.write(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// Next returns the first offset that is not stored.
func (w *Worker) Next() int64 { return w.claim.Next }

// replay brings customer states up to date from records whose readings were stored by an earlier owner.
func (w *Worker) replay(records []heartbeat.Record) {
	stored := 0
	for stored < len(records) && records[stored].Offset < w.claim.Next {
		stored++
	}
	w.whole = w.whole || stored < len(records) || stored > 0 && records[stored-1].Offset == w.claim.Next-1
	if stored == 0 || records[stored-1].Offset < w.claim.StateFrom {
		return
	}
	past := Claim{Next: records[0].Offset}
	w.behind.fold(w.build(past, records[:stored]).Readings, time.Now())
}

func (w *Worker) build(claim Claim, records []heartbeat.Record) *Batch {
	batch := build(&w.decoder, claim, records, w.room)
	w.room = batch.Readings
	return batch
}

// due returns how many customer states should go along with a batch now.
func (w *Worker) due() int {
	now := time.Now()
	if now.Sub(w.flushed) < stateEvery {
		return 0
	}
	return w.behind.ripe(now.Add(-stateAge), stateMost)
}

// include adds the customer states that have been behind for longest. They stay in hand until the batch is committed, and
// they do not know its readings, for the database may refuse one of these.
func (w *Worker) include(batch *Batch, count int) {
	batch.Customers = w.behind.first(count)
	batch.StateFrom = w.behind.since(count, batch.From)
}

// bisect stores records that together hold at least one the database refuses, by halves, down to the culprit.
func (w *Worker) bisect(ctx context.Context, records []heartbeat.Record) error {
	batch := w.build(w.claim, records)
	if batch.To == batch.From {
		return nil
	}
	err := w.write(ctx, batch)
	if KindOf(err) != BadData {
		return err
	}
	if half := len(records) / 2; half > 0 {
		if err := w.bisect(ctx, records[:half]); err != nil {
			return err
		}
		return w.bisect(ctx, records[half:])
	}
	return w.write(ctx, reject(batch, records[0], err))
}

// write stores a batch, however long the store is out of order. It returns nil, the context's error, or an error of
// kind BadData or Fenced.
func (w *Worker) write(ctx context.Context, batch *Batch) error {
	for attempt := 0; ; attempt++ {
		batch.Snapshot = w.meter.snapshot(batch)
		err := w.store.Write(ctx, w.claim, batch)
		if stored, settled := w.settle(ctx, batch, err); stored {
			w.adopt(batch)
			return nil
		} else if settled != nil {
			return settled
		}
		if err := w.hold(ctx, attempt, err); err != nil {
			return err
		}
	}
}

// settle decides what became of a write. It reports stored, or an error that ends the attempts, or neither: try again.
func (w *Worker) settle(ctx context.Context, batch *Batch, err error) (stored bool, end error) {
	if err == nil {
		return true, nil
	}
	switch KindOf(err) {
	case Fenced:
		return false, err
	case BadData:
		if len(batch.DeadLetters) == 1 && batch.DeadLetters[0].Reason == heartbeat.RejectedByDatabase {
			return false, nil // not even its dead letter: hold and be loud
		}
		return false, err
	case Stale, OutcomeUnknown:
		next, err := w.position(ctx)
		switch {
		case err != nil:
			return false, err
		case next == batch.To && batch.To > batch.From:
			w.logger.Info("batch was committed although no answer came", "from", batch.From, "to", batch.To)
			return true, nil
		case next != batch.From:
			return false, &Fault{Fenced, fmt.Errorf("progress is at %d, want %d or %d", next, batch.From, batch.To)}
		}
	}
	return false, nil
}

// position reads the stored progress, however long that takes.
func (w *Worker) position(ctx context.Context) (int64, error) {
	for attempt := 0; ; attempt++ {
		next, err := w.store.Position(ctx, w.claim)
		if err == nil || KindOf(err) == Fenced {
			return next, err
		}
		if err := w.hold(ctx, attempt, err); err != nil {
			return 0, err
		}
	}
}

// hold waits before another attempt with the same batch in hand: a moment in an outage, longer when only a person can
// repair the cause.
func (w *Worker) hold(ctx context.Context, attempt int, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch KindOf(cause) {
	case Transient, OutcomeUnknown, Stale:
		w.meter.state(w.partition, Retrying, cause)
		if attempt == 0 || attempt%20 == 19 {
			w.logger.Warn("store unavailable, retrying with the same batch", "attempt", attempt+1, "error", cause)
		}
		return pause(ctx, attempt)
	default:
		w.meter.state(w.partition, Stopped, cause)
		w.logger.Error("partition stopped: nothing is lost, but a person must repair the cause", "next_offset", w.claim.Next, "error", cause)
		return wait(ctx, stoppedDelay)
	}
}

// adopt makes a committed batch the state to go on from.
func (w *Worker) adopt(batch *Batch) {
	w.claim.Next, w.claim.Epoch, w.claim.StateFrom = batch.To, batch.Epoch, batch.StateFrom
	if len(batch.Customers) > 0 {
		w.behind.drop(len(batch.Customers))
		w.flushed = time.Now()
	}
	w.behind.fold(batch.Readings, time.Now())
	w.meter.committed(w.partition, batch)
}
