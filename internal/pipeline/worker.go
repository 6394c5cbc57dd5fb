package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"heartbeat/internal/backoff"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/repeat"
	"heartbeat/internal/silence"
)

// MaxBatch is the largest number of records that Process takes at once, for one transaction.
const MaxBatch = 30_000

// snapshotsPerFlush is how many customer snapshots are stored in a transaction of their own.
const snapshotsPerFlush = 5_000

// retryDelay is the back-off while the store or the broker is away.
var retryDelay = backoff.Policy{First: 50 * time.Millisecond, Max: 5 * time.Second}

// stoppedDelay is how long a stopped partition waits before it checks whether a person has repaired the cause.
const stoppedDelay = 30 * time.Second

// Options set up a Worker.
type Options struct {
	Partition Partition
	Store     Store
	Meter     *Meter
	Retention time.Duration // how old a reading may be against its Kafka timestamp; 0: any age
	Detection *Detection    // nil: no alarms
	Logger    *slog.Logger
}

// Worker carries one partition's records into the store, in order, each exactly once.
type Worker struct {
	partition Partition
	store     Store
	meter     *Meter
	logger    *slog.Logger

	decoder   heartbeat.Decoder
	scratch   []Reading // memory of the last batch's readings, reused by the next
	claim     Claim
	customers customers
	detection *detection // nil: no alarms

	window       repeat.Window // as of the last committed batch and, provisionally, the one at hand
	windowLoaded bool
}

// NewWorker returns a worker that must Claim and Reconcile its partition before it can process.
func NewWorker(options Options) *Worker {
	w := &Worker{
		partition: options.Partition,
		store:     options.Store,
		meter:     options.Meter,
		logger:    options.Logger.With("partition", options.Partition.Number),
		decoder:   heartbeat.Decoder{Retention: options.Retention},
		customers: newCustomers(),
	}
	if options.Detection != nil {
		w.detection = &detection{Detection: *options.Detection}
	}
	return w
}

// Process stores records, in the partition's order, and returns when they are committed. It waits out any outage. It fails
// only with the context's error, or with an error of kind Fenced when the partition has another owner. It takes at most
// MaxBatch records, which one transaction stores.
func (w *Worker) Process(ctx context.Context, records []heartbeat.Record) error {
	if err := w.replay(ctx, records); err != nil {
		return err
	}
	if err := w.beginBehind(ctx, records); err != nil {
		return err
	}
	if err := w.loadWindow(ctx, records); err != nil {
		return err
	}
	batch := w.build(w.claim, records)
	if batch.To == batch.From {
		return nil
	}
	if err := w.finishReplay(ctx); err != nil {
		return err
	}
	w.include(batch, w.customers.due(time.Now()))
	err := w.evaluateAndWrite(ctx, batch)
	if KindOf(err) != BadData {
		return err
	}
	w.logger.Warn("batch refused by the database, searching for the record", "from", batch.From, "to", batch.To, "error", err)
	return w.bisect(ctx, records)
}

// Idle does what a batch would do along with its own work, when none has come for a while.
func (w *Worker) Idle(ctx context.Context) error {
	w.meter.idle()
	return w.Flush(ctx)
}

// Flush stores the remaining customer snapshots without a batch, before the partition is handed over. During a replay it
// stores none: the next owner replays from the same offset.
func (w *Worker) Flush(ctx context.Context) error {
	if !w.customers.replayed || len(w.customers.stale) == 0 {
		return nil
	}
	if err := w.finishReplay(ctx); err != nil {
		return err
	}
	for len(w.customers.stale) > 0 {
		batch := &Batch{From: w.claim.Next, To: w.claim.Next, Epoch: w.claim.Epoch}
		w.include(batch, min(snapshotsPerFlush, len(w.customers.stale)))
		if err := w.write(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// Next returns the first offset that is not stored.
func (w *Worker) Next() int64 { return w.claim.Next }

// replay brings states up to date from records whose readings an earlier owner has stored. It fails only with the context's
// error.
func (w *Worker) replay(ctx context.Context, records []heartbeat.Record) error {
	stored := 0
	for stored < len(records) && records[stored].Offset < w.claim.Next {
		stored++
	}
	done := w.customers.replayed
	w.customers.replayed = done || stored < len(records) || stored > 0 && records[stored-1].Offset == w.claim.Next-1
	if stored == 0 || records[stored-1].Offset < w.claim.StateFrom {
		return nil
	}
	readings, err := w.storedReadings(ctx, records[:stored])
	if err != nil {
		return err
	}
	w.customers.replay(readings, time.Now())
	if w.detection == nil || done {
		return nil
	}
	return w.persist(ctx, func() error { return w.detection.replay(ctx, readings) })
}

// storedReadings returns the readings of records below the claim's next offset, without those that were dropped as repeats.
func (w *Worker) storedReadings(ctx context.Context, records []heartbeat.Record) ([]Reading, error) {
	readings := build(&w.decoder, nil, Claim{Next: records[0].Offset}, records, w.scratch).Readings
	w.scratch = readings
	if !carryIDs(records) {
		return readings, nil
	}
	err := w.persist(ctx, func() error {
		repeated, err := w.store.Repeated(ctx, w.claim, records[0].Offset, records[len(records)-1].Offset+1)
		if err == nil {
			readings = slices.DeleteFunc(readings, func(r Reading) bool { return repeated[r.Offset] })
		}
		return err
	})
	return readings, err
}

// loadWindow reads what earlier owners stored of the window when the first record with an id comes: without ids a claim costs no
// statement more. Only this worker can write the window since its claim.
func (w *Worker) loadWindow(ctx context.Context, records []heartbeat.Record) error {
	if w.windowLoaded || !carryIDs(records) {
		return nil
	}
	return w.persist(ctx, func() error {
		entries, err := w.store.RepeatWindow(ctx, w.claim)
		if err == nil {
			w.window.Restore(entries)
			w.windowLoaded = true
		}
		return err
	})
}

// carryIDs reports whether any of the records carries an id.
func carryIDs(records []heartbeat.Record) bool {
	for i := range records {
		if records[i].ID != nil {
			return true
		}
	}
	return false
}

// finishReplay makes the detector's states fit to be stored and to be advanced. Everything below the claim's next offset must be replayed.
func (w *Worker) finishReplay(ctx context.Context) error {
	if w.detection == nil {
		return nil
	}
	return w.persist(ctx, func() error { return w.detection.finishReplay(ctx) })
}

// include adds snapshots to a batch before it is evaluated: they exclude its own readings, which the database may still reject.
func (w *Worker) include(batch *Batch, count int) {
	w.customers.include(batch, count)
	if w.detection != nil && len(batch.Customers) > 0 {
		batch.States = w.detection.encode(batch.Customers)
	}
}

// evaluateAndWrite gives a batch its transitions and stores both. When the batch is not stored, the detector's states are those
// before it.
func (w *Worker) evaluateAndWrite(ctx context.Context, batch *Batch) error {
	if w.detection == nil {
		return w.write(ctx, batch)
	}
	err := w.persist(ctx, func() error { return w.detection.evaluate(ctx, batch) })
	if err == nil {
		err = w.write(ctx, batch)
	}
	if err != nil {
		w.detection.states.takeBack()
		w.detection.silence.takeBack()
		return err
	}
	w.detection.states.keep()
	w.detection.silence.keep()
	return nil
}

// persist repeats a read of the store, however long the store is away. It fails only with the context's error, or with an error of
// kind Fenced.
func (w *Worker) persist(ctx context.Context, read func() error) error {
	for attempt := 0; ; attempt++ {
		err := read()
		if err == nil && attempt > 0 {
			w.meter.resumed(w.partition)
		}
		if err == nil || KindOf(err) == Fenced {
			return err
		}
		if err := w.Wait(ctx, attempt, err); err != nil {
			return err
		}
	}
}

// build replaces what an earlier batch, which was not stored, has put into the window.
func (w *Worker) build(claim Claim, records []heartbeat.Record) *Batch {
	w.window.TakeBack()
	batch := build(&w.decoder, &w.window, claim, records, w.scratch)
	w.scratch = batch.Readings
	return batch
}

// bisect stores records of which the database refuses at least one: it halves them down to the refused record, which
// becomes a dead letter.
func (w *Worker) bisect(ctx context.Context, records []heartbeat.Record) error {
	batch := w.build(w.claim, records)
	if batch.To == batch.From {
		return nil
	}
	err := w.evaluateAndWrite(ctx, batch)
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

// write stores a batch, however long the store is away. It returns nil, the context's error, or an error of kind BadData
// or Fenced.
func (w *Worker) write(ctx context.Context, batch *Batch) error {
	began := time.Now()
	for attempt := 0; ; attempt++ {
		batch.Snapshot = w.meter.snapshot(batch)
		err := w.store.Write(ctx, w.claim, batch)
		if stored, final := w.resolve(ctx, batch, err); stored {
			w.adopt(batch)
			return nil
		} else if final != nil {
			return final
		}
		if batch.To > batch.From && stops(err) && time.Since(began) >= silence.BehindAfter {
			w.reportStopped(ctx, began)
		}
		if err := w.Wait(ctx, attempt, err); err != nil {
			return err
		}
	}
}

// resolve decides what became of a write. It reports stored, or an error that ends the attempts, or neither: try again.
func (w *Worker) resolve(ctx context.Context, batch *Batch, err error) (stored bool, final error) {
	if err == nil {
		return true, nil
	}
	switch KindOf(err) {
	case Fenced:
		return false, err
	case BadData:
		if len(batch.DeadLetters) == 1 && batch.DeadLetters[0].Reason == heartbeat.RejectedByDatabase {
			return false, nil // not even its dead letter is stored: the partition stops
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
		if err := w.Wait(ctx, attempt, err); err != nil {
			return 0, err
		}
	}
}

// Wait reports why an attempt has failed and waits before the next one: with back-off in an outage, longer when only a
// person can repair the cause. It fails only with the context's error.
func (w *Worker) Wait(ctx context.Context, attempt int, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if stops(cause) {
		w.meter.state(w.partition, Stopped, cause)
		w.logger.Error("partition stopped: nothing is lost, but a person must repair the cause", "next_offset", w.claim.Next, "error", cause)
		return backoff.Sleep(ctx, stoppedDelay)
	}
	w.meter.state(w.partition, Retrying, cause)
	if attempt == 0 || attempt%20 == 19 {
		w.logger.Warn("store unavailable, retrying with the same batch", "attempt", attempt+1, "error", cause)
	}
	return retryDelay.Wait(ctx, attempt)
}

// stops reports whether a cause stops the partition until a person has repaired it.
func stops(cause error) bool {
	switch KindOf(cause) {
	case Transient, OutcomeUnknown, Stale:
		return false
	default:
		return true
	}
}

// adopt makes a committed batch the state to go on from.
func (w *Worker) adopt(batch *Batch) {
	w.claim.Next, w.claim.Epoch, w.claim.StateFrom = batch.To, batch.Epoch, batch.StateFrom
	w.customers.adopt(batch, time.Now())
	if batch.To > batch.From { // else the batch at hand is not the one in the window
		early := w.window.Early()
		w.window.Keep()
		w.meter.forgot(w.window.Early() - early)
	}
	w.meter.committed(w.partition, batch)
}
