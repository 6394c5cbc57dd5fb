package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"heartbeat/internal/app"
	"heartbeat/internal/postgres"
)

// Options say what to measure, and on what.
type Options struct {
	Brokers   []string         // empty: the embedded broker
	Database  postgres.Options // neither URL nor host: a private server
	Dir       string           // where scratch data lies, that of the private servers included; empty: the system's place
	Binary    string           // the heartbeat whose roles are run
	Version   string           // of that heartbeat
	Full      bool             // take the time it needs, rather than a minute
	Only      []string         // sections to measure; empty: all
	Customers int              // of the fleet
	Plan      *Plan            // nil: as Full says
	Say       func(string)     // is told what is being measured; nil for nobody
	Logger    *slog.Logger
}

// Plan is how much is measured.
type Plan struct {
	Rounds       int // of limit, drain and produce
	Events       int64
	Rates        []int // readings a second; with Saturate higher ones follow until the consumer cannot keep up
	Saturate     bool
	Seconds      float64 // at each rate
	Levels       []int64 // rows, ascending
	Measured     int64   // rows that are timed at each level
	BigFleet     int     // customers of a second drain, for what memory they take; 0: none
	BigEvents    int64
	BackfillRate int           // of live readings beside a backfill; 0: none
	Backfill     int64         // readings of the day before
	Patience     time.Duration // begin no further round after so long; 0: begin all
}

func (o Options) plan() Plan {
	switch {
	case o.Plan != nil:
		return *o.Plan
	case o.Full:
		return Plan{
			Rounds: 3, Events: 4_000_000, Rates: []int{1_000, 10_000, 50_000, 100_000}, Saturate: true, Seconds: 15,
			Levels: []int64{1_000_000, 5_000_000, 20_000_000, 50_000_000}, Measured: 3_000_000,
			BigFleet: 1_000_000, BigEvents: 4_000_000, BackfillRate: 10_000, Backfill: 3_000_000,
		}
	default:
		return Plan{
			Rounds: 3, Events: 800_000, Rates: []int{1_000, 10_000}, Seconds: 3,
			Levels: []int64{0}, Measured: 1_000_000, Patience: 18 * time.Second,
		}
	}
}

// Run measures. It fails when anything it needs does, and when rows are missing.
func Run(ctx context.Context, options Options) (report *Report, err error) {
	if options.Say == nil {
		options.Say = func(string) {}
	}
	options.Say("starting the servers")
	s, err := setUp(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("set up benchmark: %w", err)
	}
	defer func() { err = errors.Join(err, s.tearDown()) }()
	r := &run{stage: s, plan: options.plan(), report: s.newReport()}
	for _, section := range r.sections() {
		if len(options.Only) > 0 && !slices.Contains(options.Only, section.name) {
			continue
		}
		if err := section.measure(ctx); err != nil {
			return nil, err
		}
	}
	if len(options.Brokers) > 0 {
		options.Say(fmt.Sprintf("the topics %s_… stay on the broker until its retention empties them, or you delete them", s.prefix))
	}
	r.report.finish()
	return r.report, nil
}

type section struct {
	name    string
	measure func(context.Context) error
}

func (r *run) sections() []section {
	return []section{
		{"drain", r.rounds}, {"steady", r.steady}, {"growth", r.growth}, {"fleet", r.bigFleet}, {"backfill", r.backfill},
	}
}

type run struct {
	*stage
	plan   Plan
	report *Report
}

func (s *stage) say(what string) { s.options.Say(what) }

// rounds measures limit and drain in turns, each time beginning with another one, and the producer beside them. The first is a
// drain, for the limit takes its transactions' size from there.
func (r *run) rounds(ctx context.Context) error {
	r.say("filling the topic")
	t, err := r.topic(ctx)
	if err != nil {
		return err
	}
	if err := r.preload(ctx, t, load{fleet: r.options.fleet(), events: r.plan.Events, keep: true}); err != nil {
		return err
	}
	turns := rounds{events: t.offsets()}
	for round := range r.plan.Rounds {
		if r.plan.Patience > 0 && round > 0 && time.Since(r.report.StartedAt) > r.plan.Patience {
			break
		}
		if err := r.round(ctx, round, t, &turns); err != nil {
			return err
		}
	}
	turns.report(r.report)
	return nil
}

// rounds are the results of all rounds so far.
type rounds struct {
	events                    int64
	arrival, sorted, produced []pace
	drained                   []drained
}

// perTransaction is how many readings the consumer stored in one transaction, in the last drain.
func (r *rounds) perTransaction() int {
	last := r.drained[len(r.drained)-1]
	return int(last.rowsPerTransaction) + 1
}

func (r *run) round(ctx context.Context, number int, t *topic, turns *rounds) error {
	measures := []struct {
		name    string
		measure func() error
	}{
		{"drain", func() error {
			drained, err := r.drain(ctx, t)
			turns.drained = append(turns.drained, drained)
			return err
		}},
		{"limit, sorted", func() error {
			pace, err := r.limit(ctx, t, true, turns.perTransaction())
			turns.sorted = append(turns.sorted, pace)
			return err
		}},
		{"produce", func() error {
			pace, err := r.produce(ctx)
			turns.produced = append(turns.produced, pace)
			return err
		}},
		{"limit, in the order of arrival", func() error {
			pace, err := r.limit(ctx, t, false, turns.perTransaction())
			turns.arrival = append(turns.arrival, pace)
			return err
		}},
	}
	for i := range measures {
		next := measures[(i+number)%len(measures)]
		r.say(fmt.Sprintf("round %d of %d: %s", number+1, r.plan.Rounds, next.name))
		if err := next.measure(); err != nil {
			return fmt.Errorf("measure %s: %w", next.name, err)
		}
	}
	return nil
}

// produce lets the real producer send as fast as it can.
func (r *run) produce(ctx context.Context) (pace, error) {
	t, err := r.topic(ctx)
	if err != nil {
		return pace{}, err
	}
	const unlimited = 1e9
	before, began := r.spent(0), time.Now()
	err = app.Produce(ctx, app.ProduceOptions{
		Kafka: r.kafka(t.name), Fleet: r.options.fleet(), Rate: unlimited, MaxEvents: r.plan.Events, Logger: r.options.Logger,
	})
	took, after := time.Since(began), r.spent(0)
	if err != nil {
		return pace{}, err
	}
	return pace{float64(r.plan.Events) / took.Seconds(), after.since(before, r.plan.Events)}, ctx.Err()
}
