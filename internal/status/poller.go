package status

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"heartbeat/internal/backoff"
	"heartbeat/internal/progress"
	"heartbeat/internal/readmodel"
)

const (
	pollEvery   = time.Second
	activeEvery = 2 * time.Second
	pollTimeout = 5 * time.Second
	// restFactor is the pause after a poll, as a multiple of its duration: a slow database is asked less often.
	restFactor = 9
)

// Options are what a Poller asks. Store is required.
type Options struct {
	Store  Store
	Broker Broker // nil: end offsets, and so lag, are unknown
	Feed   Feed   // nil: the live view is fed by this very process
}

// Poller takes a snapshot once a second.
type Poller struct {
	options Options
	latest  atomic.Pointer[Snapshot]
	active  slowFigure
	tracker progress.Tracker
	health  health
	mu      sync.Mutex // guards seconds and minutes
	seconds lagSeries
	minutes lagSeries
}

// NewPoller returns a Poller with an empty snapshot. It polls nothing until Run is called.
func NewPoller(options Options) *Poller {
	p := &Poller{
		options: options,
		health:  health{states: map[string]*Component{}},
		seconds: newLagSeries(time.Second, 15*60),
		minutes: newLagSeries(time.Minute, 7*24*60),
	}
	first := &Snapshot{At: time.Now().UTC(), Health: []Component{}, Partitions: []progress.Partition{}}
	first.encode()
	p.latest.Store(first)
	return p
}

// Latest returns the newest snapshot.
func (p *Poller) Latest() *Snapshot { return p.latest.Load() }

// Run polls until the context ends. An error is part of the snapshot, which is where people look.
func (p *Poller) Run(ctx context.Context) error {
	backoff.Repeat(ctx, pollEvery, restFactor, func() { p.poll(ctx) })
	return ctx.Err()
}

func (p *Poller) poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	now := time.Now().UTC()
	next := &Snapshot{At: now, Partitions: []progress.Partition{}}
	totals, rows, storeErr := p.askStore(ctx)
	topic, brokerErr := p.askBroker(ctx)
	if storeErr != nil {
		p.tracker.Interrupt(now)
	} else {
		next.Totals = &totals
		next.show(p.compare(ctx, progress.Observation{At: now, Topic: topic, Rows: rows}))
	}
	next.Health = p.health.check(now, findings{
		store: storeErr, broker: brokerErr, feed: p.options.Feed, hasBroker: p.options.Broker != nil, snapshot: next,
	})
	next.encode()
	p.remember(next)
	p.latest.Store(next)
}

// compare holds the rows against the topic. The group is only described when it may explain a stall.
func (p *Poller) compare(ctx context.Context, observation progress.Observation) progress.Report {
	report := p.tracker.Observe(observation)
	if p.options.Broker != nil && len(report.Stalled()) > 0 {
		report.Explain(p.options.Broker.Group(ctx))
	}
	return report
}

func (p *Poller) askStore(ctx context.Context) (readmodel.Totals, []progress.Stored, error) {
	totals, err := p.options.Store.Totals(ctx)
	if err != nil {
		return readmodel.Totals{}, nil, err
	}
	if totals.ActiveCustomers, err = p.active.get(ctx, p.options.Store.ActiveCustomers); err != nil {
		return readmodel.Totals{}, nil, err
	}
	rows, err := p.options.Store.Progress(ctx)
	return totals, rows, err
}

func (p *Poller) askBroker(ctx context.Context) (*progress.Topic, error) {
	if p.options.Broker == nil {
		return nil, nil
	}
	return p.options.Broker.Topic(ctx)
}

func (p *Poller) remember(next *Snapshot) {
	if next.Lag == nil {
		return
	}
	point := readmodel.Lag{At: next.At, Offsets: *next.Lag}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seconds.add(point)
	p.minutes.add(point)
}

// LagHistory returns the lag that this process saw in a span, by second where the span is short.
func (p *Poller) LagHistory(span readmodel.Span) []readmodel.Lag {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(span.From) <= 16*time.Minute {
		return p.seconds.since(span.From, time.Second)
	}
	return p.minutes.since(span.From, span.Step)
}

// slowFigure is a figure that takes long to count. The longer it takes, the less often it is counted.
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
