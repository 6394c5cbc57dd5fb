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
	turns     *turns

	stop chan struct{}      // closed: take no further batch
	quit context.CancelFunc // give up the batch in hand
	done chan struct{}      // closed when the goroutine has ended
	wake chan struct{}      // has a token when something was gathered

	hand    basket             // the transaction's that is under way
	records []heartbeat.Record // what the hand holds

	mu       sync.Mutex // guards all below
	gathered basket     // the next transaction's
	full     bool       // it has all it may
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

// push gathers records for the next transaction. It reports false when that has as many as it may now: pause the
// partition.
func (l *lane) push(records []*kgo.Record, enough int) (room bool) {
	l.mu.Lock()
	for _, record := range records {
		l.gathered.add(record)
	}
	l.full = len(l.gathered.places) >= enough || len(l.gathered.bytes) >= enoughBytes
	room = !l.full
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return room
}

// pop takes what was gathered while the transaction before was under way. It is good until the next call.
func (l *lane) pop() []heartbeat.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hand.empty()
	l.hand, l.gathered = l.gathered, l.hand
	l.records = l.hand.appendRecords(l.records[:0])
	if l.full {
		l.full = false
		l.drained(l)
	}
	return l.records
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

// drain processes what was gathered, one transaction's worth at a time.
func (l *lane) drain(ctx context.Context) error {
	for records := l.pop(); len(records) > 0; records = l.pop() {
		if l.stopping() {
			return nil
		}
		if err := l.store(ctx, records); err != nil {
			return err
		}
	}
	return nil
}

// store processes records when it is this lane's turn, unless the lane is to stop first.
func (l *lane) store(ctx context.Context, records []heartbeat.Record) error {
	endTurn := l.turns.wait(l.stop)
	if endTurn == nil {
		return nil
	}
	defer endTurn()
	if err := l.worker.Process(ctx, records); err != nil {
		return err
	}
	crashpoint.Reach(crashpoint.BeforeHint)
	l.advanced(l, position{l.worker.Next(), records[len(records)-1].LeaderEpoch})
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
