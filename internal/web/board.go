package web

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"heartbeat/internal/readmodel"
)

const (
	boardEvery   = time.Second
	activeEvery  = 2 * time.Second
	boardTimeout = 5 * time.Second
	// restFactor keeps a slow database from being asked all the time: it rests this many times as long as it worked.
	restFactor = 9
)

// Board is what the database and the broker say of the pipeline at one moment.
type Board struct {
	At          time.Time         `json:"at"`
	Totals      *readmodel.Totals `json:"totals"` // nil while the database does not answer
	Stored      *float64          `json:"stored_per_second"`
	Lag         *int64            `json:"lag"` // nil while it is unknown
	Unaccounted int64             `json:"unaccounted"`
	Partitions  []PartitionStatus `json:"partitions"`
	Health      []Component       `json:"health"`

	text []byte
}

// PartitionStatus is a partition's stored progress beside the broker's end of it.
type PartitionStatus struct {
	readmodel.Progress
	Current bool     `json:"current"` // of the log in use, not of one that was replaced
	End     *int64   `json:"end_offset"`
	Lag     *int64   `json:"lag"`
	Rate    *float64 `json:"rate"` // offsets per second
}

// board asks once a second on behalf of all viewers, so that their number costs the database nothing.
type board struct {
	store   Store
	log     Log
	feed    Feed
	now     atomic.Pointer[Board]
	active  slowFigure
	rates   rates
	judge   judge
	seconds series
	minutes series
	mu      sync.Mutex // guards seconds and minutes
}

func newBoard(options Options) *board {
	b := &board{
		store: options.Store, log: options.Log, feed: options.Feed,
		rates:   rates{partitions: map[partitionKey]*progressMark{}},
		judge:   judge{states: map[string]*Component{}},
		seconds: newSeries(time.Second, 15*60),
		minutes: newSeries(time.Minute, 7*24*60),
	}
	first := &Board{At: time.Now().UTC(), Health: []Component{}, Partitions: []PartitionStatus{}}
	first.encode()
	b.now.Store(first)
	return b
}

func (b *board) current() *Board { return b.now.Load() }

// run asks until the context ends. An error is shown on the board, which is where people look.
func (b *board) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		began := time.Now()
		b.ask(ctx)
		timer.Reset(max(boardEvery, restFactor*time.Since(began)))
	}
}

func (b *board) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, boardTimeout)
	defer cancel()
	now := time.Now().UTC()
	next := &Board{At: now, Partitions: []PartitionStatus{}}
	totals, progress, storeErr := b.askStore(ctx)
	if storeErr == nil {
		next.Totals = &totals
	}
	ends, endsErr := b.askLog(ctx)
	if storeErr == nil {
		next.Partitions = b.rates.compare(progress, ends, now)
		next.sum()
	}
	next.Health = b.judge.judge(now, findings{store: storeErr, log: endsErr, feed: b.feed, hasLog: b.log != nil, board: next})
	next.encode()
	b.remember(next)
	b.now.Store(next)
}

func (b *board) askStore(ctx context.Context) (readmodel.Totals, []readmodel.Progress, error) {
	totals, err := b.store.Totals(ctx)
	if err != nil {
		return readmodel.Totals{}, nil, err
	}
	if totals.ActiveCustomers, err = b.active.get(ctx, b.store.ActiveCustomers); err != nil {
		return readmodel.Totals{}, nil, err
	}
	progress, err := b.store.Progress(ctx)
	return totals, progress, err
}

// slowFigure is a figure that takes long to count, counted the less often the longer it takes.
type slowFigure struct {
	value int64
	due   time.Time
}

func (f *slowFigure) get(ctx context.Context, count func(context.Context) (int64, error)) (int64, error) {
	began := time.Now()
	if began.Before(f.due) {
		return f.value, nil
	}
	value, err := count(ctx)
	if err != nil {
		return 0, err
	}
	f.value, f.due = value, time.Now().Add(max(activeEvery, restFactor*time.Since(began)))
	return value, nil
}

func (b *board) askLog(ctx context.Context) (map[int32]int64, error) {
	if b.log == nil {
		return nil, nil
	}
	return b.log.Ends(ctx)
}

func (b *Board) sum() {
	var lag int64
	var stored float64
	known, rated := false, false
	for _, p := range b.Partitions {
		b.Unaccounted += p.Unaccounted
		if p.Lag != nil {
			lag, known = lag+*p.Lag, true
		}
		if p.Rate != nil {
			stored, rated = stored+*p.Rate, true
		}
	}
	if known {
		b.Lag = &lag
	}
	if rated {
		b.Stored = &stored
	}
}

func (b *Board) encode() {
	text, err := json.Marshal(b)
	if err != nil { // plain values cannot fail to encode; if they do, the page should say so
		text = fmt.Appendf(nil, `{"error":%q}`, err.Error())
	}
	b.text = text
}

func (b *board) remember(next *Board) {
	if next.Lag == nil {
		return
	}
	point := readmodel.Lag{At: next.At, Offsets: *next.Lag}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seconds.add(point)
	b.minutes.add(point)
}

// history returns the lag that this console saw in a span, by second where that is short.
func (b *board) history(span readmodel.Span) []readmodel.Lag {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(span.From) <= 16*time.Minute {
		return b.seconds.since(span.From, time.Second)
	}
	return b.minutes.since(span.From, span.Step)
}
