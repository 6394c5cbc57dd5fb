package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// maxRate ends the search for the rate that the consumer cannot keep up with.
const maxRate = 1_000_000

// steady measures rate by rate.
func (r *run) steady(ctx context.Context) error {
	rates := r.plan.Rates
	for i := 0; i < len(rates); i++ {
		r.say(fmt.Sprintf("steady: %d readings a second", rates[i]))
		t, err := r.topic(ctx)
		if err != nil {
			return err
		}
		result, err := r.stage.steady(ctx, t, rates[i], r.plan.Seconds)
		if err != nil {
			return fmt.Errorf("measure %d readings a second: %w", rates[i], err)
		}
		r.report.Steady = append(r.report.Steady, result)
		last := i == len(rates)-1
		if r.plan.Saturate && last && result.KeptUp && rates[i] < maxRate {
			rates = append(rates, rates[i]*5/4)
		}
	}
	return nil
}

func (r *run) growth(ctx context.Context) (err error) {
	r.report.Growth, r.report.Packed, err = r.stage.growth(ctx, r.plan)
	return err
}

// BigFleet is what a drain of many customers takes.
type BigFleet struct {
	Customers     int     `json:"customers"`
	PerSecond     float64 `json:"drain_per_second"`
	ResidentBytes int64   `json:"consumer_rss_bytes"`
	Usage         Usage   `json:"cpu_per_reading"`
}

func (r *run) bigFleet(ctx context.Context) error {
	if r.plan.BigFleet == 0 {
		return nil
	}
	r.say(fmt.Sprintf("drain of %d customers", r.plan.BigFleet))
	t, err := r.topic(ctx)
	if err != nil {
		return err
	}
	fleet := r.options.fleet()
	fleet.Customers = r.plan.BigFleet
	if err := r.preload(ctx, t, load{fleet: fleet, events: r.plan.BigEvents}); err != nil {
		return err
	}
	result, err := r.drain(ctx, t)
	if err != nil {
		return fmt.Errorf("measure drain of %d customers: %w", fleet.Customers, err)
	}
	r.report.BigFleet = &BigFleet{fleet.Customers, result.perSecond, result.resident, result.usage}
	return nil
}

// Backfill is what the import of a day of history does to live readings.
type Backfill struct {
	LivePerSecond int     `json:"live_per_second"`
	Alone         Latency `json:"live_alone"`       // the better of two runs
	BusyAlone     float64 `json:"busy_cores_alone"` // by everything that live readings take
	Background    Beside  `json:"background"`       // the backfill is a consumer in the background
	Foreground    Beside  `json:"foreground"`       // it is a consumer like any other
}

// Beside is what live readings and a backfill do beside each other.
type Beside struct {
	Live      Latency `json:"live"`
	P99Ratio  float64 `json:"live_p99_ratio"`
	PerSecond float64 `json:"backfill_per_second"`
}

// backfill runs the live rate alone and beside a second consumer that stores a day of history, in a topic of its own, into the
// same tables: in the background, and not.
func (r *run) backfill(ctx context.Context) error {
	if r.plan.BackfillRate == 0 {
		return nil
	}
	r.say("backfill: filling the topic with a day of history")
	history, err := r.topic(ctx)
	if err != nil {
		return err
	}
	if err := r.preload(ctx, history, load{
		fleet: r.options.fleet(), events: r.plan.Backfill,
		from: time.Now().Add(-almostDay), every: almostDay / time.Duration(r.plan.Backfill),
	}); err != nil {
		return err
	}
	var alone []Steady
	var result [2]Beside // in the background, and not
	for i, options := range [...][]string{{"--background"}, nil} {
		r.say("backfill: live readings alone")
		live, _, err := r.besides(ctx, nil)
		if err != nil {
			return fmt.Errorf("measure live readings alone: %w", err)
		}
		alone = append(alone, live)
		r.say("backfill: beside live readings " + strings.Join(options, ""))
		live, imported, err := r.besides(ctx, history, options...)
		if err != nil {
			return fmt.Errorf("measure live readings beside a backfill: %w", err)
		}
		result[i] = Beside{Live: live.Latency, PerSecond: imported.perSecond}
	}
	best := slices.MinFunc(alone, func(a, b Steady) int { return cmp.Compare(a.Latency.P99, b.Latency.P99) })
	for i := range result {
		result[i].P99Ratio = result[i].Live.P99 / best.Latency.P99
	}
	r.report.Backfill = &Backfill{r.plan.BackfillRate, best.Latency, best.busy(), result[0], result[1]}
	return nil
}

// almostDay leaves the topic's retention of a day some room: what is older goes before it is read.
const almostDay = 23 * time.Hour

// besides measures the live rate while another consumer, with options of its own, drains the history, if there is one.
func (r *run) besides(ctx context.Context, history *topic, options ...string) (live Steady, imported drained, err error) {
	db, err := r.database(ctx)
	if err != nil {
		return live, imported, err
	}
	defer db.drop()
	t, err := r.topic(ctx)
	if err != nil {
		return live, imported, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	if history != nil {
		group.Go(func() (err error) {
			imported, err = db.drain(groupCtx, history, options...)
			return err
		})
	}
	group.Go(func() (err error) {
		live, err = db.steady(groupCtx, t, r.plan.BackfillRate, r.plan.Seconds)
		return err
	})
	if err := group.Wait(); err != nil {
		return live, imported, err
	}
	want := t.content
	if history != nil {
		want.Records += history.content.Records
		want.Anomalies += history.content.Anomalies
		want.Alerts += history.content.Alerts
	}
	_, err = db.verify(ctx, want)
	return live, imported, err
}
