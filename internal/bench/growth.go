package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heartbeat/internal/facts"
)

// Growth is how the consumer and the dashboards do once so many rows are stored, all of them within the hour: the most
// that a partition of the tables has to bear.
type Growth struct {
	Rows            int64       `json:"rows"`
	PerSecond       float64     `json:"drain_per_second"` // of the last million
	OfEmpty         float64     `json:"of_empty"`         // divided by the mean of the first and last level
	BytesPerReading float64     `json:"bytes_per_reading"`
	WALBytes        float64     `json:"wal_bytes_per_reading"`
	Usage           Usage       `json:"cpu_per_reading"`
	Queries         []QueryTime `json:"queries,omitempty"`
}

// QueryTime is how long a dashboard waits for an answer.
type QueryTime struct {
	Name   string  `json:"name"`
	Median float64 `json:"median_ms"`
	Max    float64 `json:"max_ms"`
}

// fillStep is how much of the way to the next level is produced and drained at a time.
const fillStep = 5_000_000

// growth fills a database level by level; at each it measures the last rows on the way and the dashboards' queries. The
// last level is an empty database again: what became slower there is the machine, not the size.
func (s *stage) growth(ctx context.Context, levels []int64, measured int64) ([]Growth, error) {
	if len(levels) == 0 {
		return nil, nil
	}
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := db.grow(ctx, levels, measured)
	if err := errors.Join(err, db.drop()); err != nil {
		return nil, err
	}
	s.say("growth: back to empty")
	again, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	defer again.drop()
	empty, err := again.grow(ctx, []int64{measured}, measured)
	if err != nil {
		return nil, err
	}
	rows = append(rows, empty...)
	base := (rows[0].PerSecond + empty[0].PerSecond) / 2
	for i := range rows {
		rows[i].OfEmpty = rows[i].PerSecond / base
	}
	return rows, nil
}

func (d *database) grow(ctx context.Context, levels []int64, measured int64) ([]Growth, error) {
	t, err := d.stage.topic(ctx, "growth_"+d.name[len(d.stage.prefix)+1:])
	if err != nil {
		return nil, err
	}
	var rows []Growth
	for _, level := range levels {
		for t.offsets() < level-measured {
			step := min(fillStep, level-measured-t.offsets())
			d.stage.say(fmt.Sprintf("growth: filling, %d of %d rows", t.offsets(), level))
			if _, err := d.extend(ctx, t, step); err != nil {
				return nil, err
			}
		}
		d.stage.say(fmt.Sprintf("growth: measuring at %d rows", level))
		result, err := d.extend(ctx, t, level-t.offsets())
		if err != nil {
			return nil, err
		}
		if err := d.examine(ctx, t.content, &result); err != nil {
			return nil, err
		}
		queries, err := d.queries(ctx)
		if err != nil {
			return nil, err
		}
		rows = append(rows, Growth{
			Rows: t.offsets(), PerSecond: result.perSecond, BytesPerReading: result.tablePerReading,
			WALBytes: result.walPerReading, Usage: result.usage, Queries: queries,
		})
	}
	return rows, nil
}

// extend adds events to the topic, then lets the consumer store them.
func (d *database) extend(ctx context.Context, t *topic, events int64) (drained, error) {
	fleet := d.stage.options.fleet()
	fleet.Seed = uint64(t.offsets()) + 1
	if err := d.stage.preload(ctx, t, load{fleet: fleet, events: events}); err != nil {
		return drained{}, err
	}
	return d.drain(ctx, t)
}

// queryRounds is how often each query runs; the first time fills the server's caches and does not count.
const queryRounds = 6

// queries times every question that the console and the contract's dashboards ask.
func (d *database) queries(ctx context.Context) ([]QueryTime, error) {
	var times []QueryTime
	for _, query := range d.questions() {
		var rounds []float64
		for round := range queryRounds {
			began := time.Now()
			if err := query.ask(ctx); err != nil && !errors.Is(err, facts.ErrNotFound) {
				return nil, fmt.Errorf("time %s: %w", query.name, err)
			}
			if round > 0 {
				rounds = append(rounds, milliseconds(time.Since(began)))
			}
		}
		spread := spreadOf(rounds)
		times = append(times, QueryTime{query.name, spread.Median, spread.Max})
	}
	return times, nil
}
