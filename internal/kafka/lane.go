package kafka

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
	// laneQueue is how many fetches of one partition wait in memory before the partition is paused.
	laneQueue = 2
	// laneIdle is how long after the last batch a worker gets to store what is left over.
	laneIdle = time.Second
	// laneGrace is how long a batch in hand may take to be committed when the partition is handed over.
	laneGrace = 5 * time.Second
)

// lane feeds the records of one assigned partition to its worker, in order. Its goroutine starts with the claim and
// ends when the partition is released or the worker is fenced.
type lane struct {
	partition pipeline.Partition
	worker    *pipeline.Worker
	fenced    func(*lane, error)    // the worker lost the partition
	advanced  func(*lane, position) // records below this position are stored
	drained   func(*lane)           // there is room in a queue that was full

	stop chan struct{}      // closed: take no further batch
	quit context.CancelFunc // give up the batch in hand
	done chan struct{}      // closed when the goroutine has ended
	wake chan struct{}      // has a token when the queue is not empty

	records []heartbeat.Record // the last batch's, whose room the next one uses

	mu    sync.Mutex // guards all below
	queue [][]*kgo.Record
	full  bool
}

// position is how far a partition is stored.
type position struct {
	offset int64
	epoch  int32
}

func (l *lane) start() {
	ctx, cancel := context.WithCancel(context.Background())
	l.quit = cancel
	l.stop, l.done, l.wake = make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	go func() {
		defer close(l.done)
		defer cancel()
		if err := l.run(ctx); err != nil && ctx.Err() == nil {
			l.fenced(l, err)
		}
	}()
}

// push hands records to the worker. It reports false when the queue is full now: pause the partition.
func (l *lane) push(records []*kgo.Record) (room bool) {
	l.mu.Lock()
	l.queue = append(l.queue, records)
	l.full = len(l.queue) >= laneQueue
	room = !l.full
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return room
}

// pop takes the oldest records of the queue, most at most: while one transaction is under way, what else comes in is
// gathered for the next. They are good until the next call.
func (l *lane) pop(most int) []heartbeat.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = l.records[:0]
	for len(l.queue) > 0 && len(l.records) < most {
		head := l.queue[0]
		size := min(len(head), most-len(l.records))
		l.records = appendRecords(l.records, head[:size])
		if l.queue[0] = head[size:]; size == len(head) {
			l.queue[0] = nil
			l.queue = l.queue[1:]
		}
	}
	if l.full && len(l.queue) < laneQueue {
		l.full = false
		l.drained(l)
	}
	return l.records
}

func appendRecords(records []heartbeat.Record, fetched []*kgo.Record) []heartbeat.Record {
	for _, record := range fetched {
		records = append(records, heartbeat.Record{
			Offset:      record.Offset,
			LeaderEpoch: record.LeaderEpoch,
			Timestamp:   record.Timestamp,
			Key:         record.Key,
			Value:       record.Value,
			Control:     record.Attrs.IsControl(),
		})
	}
	return records
}

func (l *lane) isFull() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full
}

func (l *lane) run(ctx context.Context) error {
	idle := time.NewTimer(laneIdle)
	defer idle.Stop()
	for {
		select {
		case <-l.stop:
			return l.worker.Flush(ctx)
		case <-idle.C:
			if err := l.worker.Idle(ctx); err != nil {
				return err
			}
		case <-l.wake:
			if err := l.drain(ctx); err != nil {
				return err
			}
		}
		idle.Reset(laneIdle)
	}
}

// drain processes what is queued, one transaction's worth at a time.
func (l *lane) drain(ctx context.Context) error {
	for records := l.pop(pipeline.MaxBatch); len(records) > 0; records = l.pop(pipeline.MaxBatch) {
		if l.stopping() {
			return nil
		}
		if err := l.worker.Process(ctx, records); err != nil {
			return err
		}
		crashpoint.Reach(crashpoint.BeforeHint)
		l.advanced(l, position{l.worker.Next(), records[len(records)-1].LeaderEpoch})
	}
	return nil
}

func (l *lane) stopping() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// release ends the lane: the batch in hand may still be committed within the grace. It returns when nothing of the
// partition is under way any more.
func (l *lane) release(grace time.Duration) {
	close(l.stop)
	timer := time.AfterFunc(grace, l.quit)
	defer timer.Stop()
	<-l.done
}
