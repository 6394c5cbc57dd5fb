package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heartbeat/internal/bench/report"
	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/readmodel"
)

// fillStep is the number of events that are produced and drained at a time on the way to the next level.
const fillStep = 5_000_000

// growth fills a database level by level. At each level it measures the next readings, alternating with those of the first level
// in a new database, and then the dashboards' queries.
func (e *environment) growth(ctx context.Context, plan Plan) (all []report.Growth, reindexed *report.Reindexed, err error) {
	if len(plan.Levels) == 0 {
		return nil, nil, nil
	}
	db, t, err := e.growing(ctx, plan.Levels[len(plan.Levels)-1]+int64(plan.Rounds)*plan.Measured)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, db.drop()) }()
	for _, level := range plan.Levels {
		if err := db.fill(ctx, t, level); err != nil {
			return nil, nil, err
		}
		growth, err := db.level(ctx, t, level, plan)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, growth)
	}
	reindexed, err = db.reindex(ctx)
	return all, reindexed, err
}

// growing creates a database and a topic for the given number of rows, of which the last is dated now.
func (e *environment) growing(ctx context.Context, rows int64) (*database, *topic, error) {
	t, err := e.topic(ctx)
	if err != nil {
		return nil, nil, err
	}
	t.every = min(time.Second/time.Duration(e.options.Customers), almostDay/time.Duration(rows))
	t.began = time.Now().Add(-time.Duration(rows) * t.every)
	db, err := e.partitioned(ctx, partition.Narrow)
	return db, t, err
}

func (d *database) fill(ctx context.Context, t *topic, level int64) error {
	for t.offsets() < level {
		d.environment.progress(fmt.Sprintf("growth: filling, %d of %d rows", t.offsets(), level))
		if _, err := d.extend(ctx, t, min(fillStep, level-t.offsets())); err != nil {
			return err
		}
	}
	return nil
}

// level measures from a level on. The first level is not compared.
func (d *database) level(ctx context.Context, t *topic, level int64, plan Plan) (report.Growth, error) {
	first := plan.Levels[0]
	rounds := plan.Rounds
	if level == first {
		rounds = 1
	}
	var grown, small []throughput
	var result drainResult
	for round := range rounds {
		d.environment.progress(fmt.Sprintf("growth: from %d rows on, round %d of %d", level, round+1, rounds))
		var err error
		if result, err = d.extend(ctx, t, plan.Measured); err != nil {
			return report.Growth{}, err
		}
		grown = append(grown, result.throughput)
		compared := result.throughput
		if level != first {
			if compared, err = d.environment.small(ctx, first, plan.Measured); err != nil {
				return report.Growth{}, err
			}
		}
		small = append(small, compared)
	}
	if err := d.examine(ctx, t.content, &result); err != nil {
		return report.Growth{}, err
	}
	queries, err := d.queries(ctx)
	growth := report.Growth{
		Rows: level, Drain: rateOf(grown), First: rateOf(small),
		BytesPerReading: result.tablePerReading, WALBytes: result.walPerReading, Queries: queries,
	}
	growth.OfFirst = report.Ratios(growth.Drain.PerSecond, growth.First.PerSecond)
	return growth, err
}

// small measures the readings after the first level in a new database.
func (e *environment) small(ctx context.Context, first, measured int64) (throughput, error) {
	db, t, err := e.growing(ctx, first+measured)
	if err != nil {
		return throughput{}, err
	}
	defer db.drop()
	if err := db.fill(ctx, t, first); err != nil {
		return throughput{}, err
	}
	result, err := db.extend(ctx, t, measured)
	if err != nil {
		return throughput{}, err
	}
	return result.throughput, db.examine(ctx, t.content, &result)
}

// reindex rebuilds the partitions' indexes as a consumer does once their time is over.
func (d *database) reindex(ctx context.Context) (*report.Reindexed, error) {
	d.environment.progress("growth: rebuilding indexes")
	began := time.Now()
	if err := d.tables.Reindex(ctx, began.Add(24*time.Hour)); err != nil {
		return nil, err
	}
	took := time.Since(began)
	content, err := d.probe.Count(ctx)
	if err != nil {
		return nil, err
	}
	sizes, err := d.probe.Sizes(ctx)
	if err != nil {
		return nil, err
	}
	return &report.Reindexed{Rows: content.Records, BytesPerReading: recordBytes(sizes, content), Seconds: took.Seconds()}, nil
}

// extend adds events to the topic and drains them.
func (d *database) extend(ctx context.Context, t *topic, events int64) (drainResult, error) {
	fleet := d.environment.options.fleet()
	fleet.Seed = uint64(t.offsets()) + 1
	if err := d.environment.preload(ctx, t, load{
		fleet: fleet, events: events,
		from: t.began.Add(time.Duration(t.offsets()) * t.every), every: t.every,
	}); err != nil {
		return drainResult{}, err
	}
	return d.drain(ctx, t)
}

// queryRounds is how often each query runs; the first run fills the server's caches and does not count.
const queryRounds = 6

// queries times every query of the console and the contract's dashboards.
func (d *database) queries(ctx context.Context) ([]report.QueryTime, error) {
	var times []report.QueryTime
	for _, query := range d.dashboardQueries() {
		var rounds []float64
		for round := range queryRounds {
			began := time.Now()
			if err := query.run(ctx); err != nil && !errors.Is(err, readmodel.ErrNotFound) {
				return nil, fmt.Errorf("time %s: %w", query.name, err)
			}
			if round > 0 {
				rounds = append(rounds, report.Milliseconds(time.Since(began)))
			}
		}
		spread := report.NewSpread(rounds)
		times = append(times, report.QueryTime{Name: query.name, Median: spread.Median, Max: spread.Max})
	}
	return times, nil
}
