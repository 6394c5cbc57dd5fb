package bench

import (
	"context"
	"fmt"
	"time"

	"heartbeat/internal/bench/report"
	"heartbeat/internal/simulator"
)

// throughput is a rate and its cost.
type throughput struct {
	perSecond float64
	usage     report.Usage
}

// rounds are the results of all rounds so far.
type rounds struct {
	arrival, sorted, produced []throughput
	drains                    []drainResult
}

// measureRounds measures drain, limit and producer alternately, each round in another order. The first measurement is a
// drain, whose transaction size the limit uses.
func (r *run) measureRounds(ctx context.Context) error {
	r.progress("filling the topic")
	t, err := r.topic(ctx)
	if err != nil {
		return err
	}
	if err := r.preload(ctx, t, load{fleet: r.options.fleet(), events: r.plan.Events, keep: true}); err != nil {
		return err
	}
	var results rounds
	for round := range r.plan.Rounds {
		if r.plan.Limit > 0 && round > 0 && time.Since(r.report.StartedAt) > r.plan.Limit {
			break
		}
		if err := r.round(ctx, round, t, &results); err != nil {
			return err
		}
	}
	var drained []throughput
	for i := range results.drains {
		drained = append(drained, results.drains[i].throughput)
	}
	r.report.SetRates(rateOf(drained), rateOf(results.arrival), rateOf(results.sorted), rateOf(results.produced))
	r.report.DrainDetails = results.details(t.offsets())
	return nil
}

// perTransaction is how many readings the consumer stored in one transaction, in the last drain.
func (r *rounds) perTransaction() int {
	last := r.drains[len(r.drains)-1]
	return int(last.rowsPerTransaction) + 1
}

func (r *run) round(ctx context.Context, number int, t *topic, results *rounds) error {
	measures := []struct {
		name    string
		measure func() error
	}{
		{"drain", func() error {
			result, err := r.drain(ctx, t)
			results.drains = append(results.drains, result)
			return err
		}},
		{"limit, sorted", func() error {
			result, err := r.limit(ctx, t, true, results.perTransaction())
			results.sorted = append(results.sorted, result)
			return err
		}},
		{"produce", func() error {
			result, err := r.produce(ctx)
			results.produced = append(results.produced, result)
			return err
		}},
		{"limit, in the order of arrival", func() error {
			result, err := r.limit(ctx, t, false, results.perTransaction())
			results.arrival = append(results.arrival, result)
			return err
		}},
	}
	for i := range measures {
		next := measures[(i+number)%len(measures)]
		r.progress(fmt.Sprintf("round %d of %d: %s", number+1, r.plan.Rounds, next.name))
		if err := next.measure(); err != nil {
			return fmt.Errorf("measure %s: %w", next.name, err)
		}
	}
	return nil
}

// produce runs the real producer without a rate limit.
func (r *run) produce(ctx context.Context) (throughput, error) {
	t, err := r.topic(ctx)
	if err != nil {
		return throughput{}, err
	}
	const unlimited = 1e9
	before, began := r.processorTime(0), time.Now()
	err = simulator.Run(ctx, simulator.Options{
		Kafka: r.kafka(t.name), Fleet: r.options.fleet(), Rate: unlimited, MaxEvents: r.plan.Events, Logger: r.options.Logger,
	})
	took, after := time.Since(began), r.processorTime(0)
	if err != nil {
		return throughput{}, err
	}
	return throughput{float64(r.plan.Events) / took.Seconds(), after.since(before, r.plan.Events)}, ctx.Err()
}

// details summarises the cost of the drains.
func (r *rounds) details(events int64) report.Drain {
	median := func(of func(*drainResult) float64) float64 {
		var values []float64
		for i := range r.drains {
			values = append(values, of(&r.drains[i]))
		}
		return report.NewSpread(values).Median
	}
	details := report.Drain{
		Events:             events,
		RowsPerTransaction: median(func(d *drainResult) float64 { return d.rowsPerTransaction }),
		WALBytes:           median(func(d *drainResult) float64 { return d.walPerReading }),
		TableBytes:         median(func(d *drainResult) float64 { return d.tablePerReading }),
		DiskBytes:          median(func(d *drainResult) float64 { return d.diskPerReading }),
	}
	for i := range r.drains {
		details.ResidentBytes = max(details.ResidentBytes, r.drains[i].resident)
	}
	return details
}

// rateOf summarises throughputs over rounds.
func rateOf(results []throughput) report.Rate {
	spread := func(of func(throughput) float64) report.Spread {
		var values []float64
		for _, result := range results {
			values = append(values, of(result))
		}
		return report.NewSpread(values)
	}
	return report.Rate{
		PerSecond: spread(func(t throughput) float64 { return t.perSecond }),
		Usage: report.Usage{
			Consumer: spread(func(t throughput) float64 { return t.usage.Consumer }).Median,
			Database: spread(func(t throughput) float64 { return t.usage.Database }).Median,
			Broker:   spread(func(t throughput) float64 { return t.usage.Broker }).Median,
			Bench:    spread(func(t throughput) float64 { return t.usage.Bench }).Median,
			Idle:     spread(func(t throughput) float64 { return t.usage.Idle }).Median,
		},
	}
}
