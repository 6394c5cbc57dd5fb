package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heartbeat/internal/facts"
)

// Growth is how the consumer and the dashboards do beyond so many stored rows, all of them within the hour: the most that
// a partition of the tables has to bear.
type Growth struct {
	Rows            int64       `json:"rows"`             // stored before
	PerSecond       float64     `json:"drain_per_second"` // from there on
	OfFirst         float64     `json:"of_first"`         // divided by the mean of the first level and of the last, which is the same in another database
	BytesPerReading float64     `json:"bytes_per_reading"`
	WALBytes        float64     `json:"wal_bytes_per_reading"`
	Usage           Usage       `json:"cpu_per_reading"`
	Queries         []QueryTime `json:"queries,omitempty"`
}

// Packed is what remains of the largest partition once its time is over and its indexes are packed.
type Packed struct {
	Rows            int64   `json:"rows"`
	BytesPerReading float64 `json:"bytes_per_reading"`
	Seconds         float64 `json:"seconds"`
}

// QueryTime is how long a dashboard waits for an answer.
type QueryTime struct {
	Name   string  `json:"name"`
	Median float64 `json:"median_ms"`
	Max    float64 `json:"max_ms"`
}

// fillStep is how much of the way to the next level is produced and drained at a time.
const fillStep = 5_000_000

// growth fills a database level by level; at each it measures the next rows and the dashboards' queries. The last level is
// the first one in a new database: what became slower there is the machine, not the size.
func (s *stage) growth(ctx context.Context, levels []int64, measured int64) ([]Growth, *Packed, error) {
	if len(levels) == 0 {
		return nil, nil, nil
	}
	db, err := s.database(ctx)
	if err != nil {
		return nil, nil, err
	}
	rows, err := db.grow(ctx, levels, measured)
	var packed *Packed
	if err == nil {
		packed, err = db.pack(ctx)
	}
	if err := errors.Join(err, db.drop()); err != nil {
		return nil, nil, err
	}
	s.say("growth: in a new database")
	again, err := s.database(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer again.drop()
	first, err := again.grow(ctx, levels[:1], measured)
	if err != nil {
		return nil, nil, err
	}
	rows = append(rows, first...)
	base := (rows[0].PerSecond + first[0].PerSecond) / 2
	for i := range rows {
		rows[i].OfFirst = rows[i].PerSecond / base
	}
	return rows, packed, nil
}

func (d *database) grow(ctx context.Context, levels []int64, measured int64) ([]Growth, error) {
	t, err := d.stage.topic(ctx)
	if err != nil {
		return nil, err
	}
	var rows []Growth
	for _, level := range levels {
		for t.offsets() < level {
			d.stage.say(fmt.Sprintf("growth: filling, %d of %d rows", t.offsets(), level))
			if _, err := d.extend(ctx, t, min(fillStep, level-t.offsets())); err != nil {
				return nil, err
			}
		}
		d.stage.say(fmt.Sprintf("growth: measuring from %d rows on", level))
		result, err := d.extend(ctx, t, measured)
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
			Rows: level, PerSecond: result.perSecond, BytesPerReading: result.tablePerReading,
			WALBytes: result.walPerReading, Usage: result.usage, Queries: queries,
		})
	}
	return rows, nil
}

// pack does to the partitions in use what a consumer does once their time is over.
func (d *database) pack(ctx context.Context) (*Packed, error) {
	d.stage.say("growth: packing indexes")
	began := time.Now()
	if err := d.tables.Pack(ctx, began.Add(24*time.Hour)); err != nil {
		return nil, err
	}
	took := time.Since(began)
	content, err := d.yardstick.Count(ctx)
	if err != nil {
		return nil, err
	}
	sizes, err := d.yardstick.Sizes(ctx)
	if err != nil {
		return nil, err
	}
	return &Packed{content.Records, recordBytes(sizes, content), took.Seconds()}, nil
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
