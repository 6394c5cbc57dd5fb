package consumer

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/crashpoint"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
)

const (
	// queueIdle after the last batch, the worker stores the customer states that are left.
	queueIdle = time.Second
	// releaseGrace is how long the batch in progress may take to commit when the partition is handed over.
	releaseGrace = 5 * time.Second
)

// partitionQueue passes the records of one assigned partition to its worker, in order. The session that owns it pushes
// records, reads how far they are stored, and releases it; the queue calls nothing of the session.
type partitionQueue struct {
	partition pipeline.Partition
	worker    *pipeline.Worker
	throttle  *throttle
	resumed   chan<- struct{} // gets a token when a full queue can take records again

	stop chan struct{}      // closed: take no further batch
	quit context.CancelFunc // abandons the batch in progress
	done chan struct{}      // closed when run has returned
	wake chan struct{}      // has a token when records were pushed

	storing recordBuffer       // the transaction in progress
	records []heartbeat.Record // the records of storing

	mu      sync.Mutex // guards all below
	pending recordBuffer
	full    bool            // pending has all it may
	stored  kgo.EpochOffset // records below it are stored
	news    bool            // stored has changed since offsetToCommit
	asked   *endOfLog       // nil: the last answer of the broker was reached
}

// endOfLog is where a partition ended when the broker was asked.
type endOfLog struct {
	offset int64
	at     time.Time
}

func newPartitionQueue(partition pipeline.Partition, worker *pipeline.Worker, throttle *throttle, resumed chan<- struct{}) *partitionQueue {
	return &partitionQueue{
		partition: partition, worker: worker, throttle: throttle, resumed: resumed,
		stop: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1),
		stored: kgo.EpochOffset{Epoch: -1, Offset: worker.Next()}, news: true,
	}
}

// push buffers records for the next transaction. It reports false when the queue is full: the partition must pause.
func (q *partitionQueue) push(records []*kgo.Record, limit int) (accepting bool) {
	q.mu.Lock()
	for _, record := range records {
		q.pending.add(record)
	}
	q.full = len(q.pending.headers) >= limit || len(q.pending.bytes) >= maxBufferedBytes
	accepting = !q.full
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return accepting
}

// ask passes an answer of the broker to the worker, unless an earlier one was not reached yet: that one says how far the consumer
// is behind.
func (q *partitionQueue) ask(end endOfLog) {
	q.mu.Lock()
	if q.asked == nil {
		q.asked = &end
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// watch lets the worker decide who is silent.
func (q *partitionQueue) watch(ctx context.Context) error {
	q.mu.Lock()
	end := q.asked
	q.mu.Unlock()
	if end == nil {
		return nil
	}
	reached, err := q.worker.Watch(ctx, end.offset, end.at)
	if reached {
		q.mu.Lock()
		q.asked = nil
		q.mu.Unlock()
	}
	return err
}

// pop takes the records that were pushed during the last transaction. They are valid until the next call.
func (q *partitionQueue) pop() []heartbeat.Record {
	q.mu.Lock()
	q.storing.reset()
	q.storing, q.pending = q.pending, q.storing
	wasFull := q.full
	q.full = false
	q.mu.Unlock()
	if wasFull {
		select {
		case q.resumed <- struct{}{}:
		default:
		}
	}
	q.records = q.storing.appendTo(q.records[:0])
	return q.records
}

func (q *partitionQueue) isFull() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.full
}

// run stores what is pushed until the queue is released. It returns the error of a worker that has lost the partition,
// and nil after a release.
func (q *partitionQueue) run(ctx context.Context) error {
	defer close(q.done)
	idle := time.NewTimer(queueIdle)
	defer idle.Stop()
	for {
		var err error
		stored := false
		select {
		case <-q.stop:
			return released(ctx, q.worker.Flush(ctx))
		case <-idle.C:
			err = q.worker.Idle(ctx)
		case <-q.wake:
			stored, err = q.drain(ctx)
		}
		if err != nil {
			return released(ctx, err)
		}
		if stored {
			idle.Reset(queueIdle)
		}
	}
}

// released drops the error of a batch that the release itself abandoned.
func released(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// drain stores the pushed records, one transaction at a time, and reports whether there were any.
func (q *partitionQueue) drain(ctx context.Context) (stored bool, err error) {
	for records := q.pop(); len(records) > 0; records = q.pop() {
		stored = true
		if q.stopping() {
			return stored, nil
		}
		if err := q.store(ctx, records); err != nil {
			return stored, err
		}
		if err := q.watch(ctx); err != nil {
			return stored, err
		}
	}
	return stored, q.watch(ctx)
}

// store runs one transaction as soon as the throttle lets it, unless the queue must stop first.
func (q *partitionQueue) store(ctx context.Context, records []heartbeat.Record) error {
	release := q.throttle.acquire(q.stop)
	if release == nil {
		return nil
	}
	defer release()
	if err := q.worker.Process(ctx, records); err != nil {
		return err
	}
	crashpoint.Reach(crashpoint.BeforeOffsetCommit)
	q.setStored(kgo.EpochOffset{Epoch: records[len(records)-1].LeaderEpoch, Offset: q.worker.Next()})
	return nil
}

func (q *partitionQueue) setStored(stored kgo.EpochOffset) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stored, q.news = stored, true
}

// offsetToCommit returns how far the partition is stored, if that has changed since the last call.
func (q *partitionQueue) offsetToCommit() (stored kgo.EpochOffset, changed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	changed, q.news = q.news, false
	return q.stored, changed
}

func (q *partitionQueue) stopping() bool {
	select {
	case <-q.stop:
		return true
	default:
		return false
	}
}

// release ends the queue: the batch in progress may commit within the grace. When it returns, nothing of the partition
// is in progress.
func (q *partitionQueue) release(grace time.Duration) {
	close(q.stop)
	timer := time.AfterFunc(grace, q.quit)
	defer timer.Stop()
	<-q.done
}
