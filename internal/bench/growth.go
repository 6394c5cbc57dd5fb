package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heartbeat/internal/postgres"
	"heartbeat/internal/readmodel"
)

// Growth is how the consumer and the dashboards do beyond so many stored rows, one a second and customer, in partitions of
// the width that a fleet of 10,000 has.
type Growth struct {
	Rows            int64       `json:"rows"`     // stored before
	Drain           Rate        `json:"drain"`    // of the readings from there on
	First           Rate        `json:"first"`    // the same of the first level, in a new database beside it; the level itself where it is the first
	OfFirst         Spread      `json:"of_first"` // one divided by the other, round by round
	BytesPerReading float64     `json:"bytes_per_reading"`
	WALBytes        float64     `json:"wal_bytes_per_reading"`
	Queries         []QueryTime `json:"queries,omitempty"`
}

// Packed is what remains of all partitions once their time is over and their indexes are packed.
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

// growth fills a database level by level. At each it measures the next readings, in turns with those of the first level in a
// new database, and then the dashboards' queries.
func (s *stage) growth(ctx context.Context, plan Plan) (all []Growth, packed *Packed, err error) {
	if len(plan.Levels) == 0 {
		return nil, nil, nil
	}
	db, t, err := s.plot(ctx, plan.Levels[len(plan.Levels)-1]+int64(plan.Rounds)*plan.Measured)
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
	packed, err = db.pack(ctx)
	return all, packed, err
}

// plot creates a database and a topic for so many rows, of which the last is dated now.
func (s *stage) plot(ctx context.Context, rows int64) (*database, *topic, error) {
	t, err := s.topic(ctx)
	if err != nil {
		return nil, nil, err
	}
	t.every = min(time.Second/time.Duration(s.options.Customers), almostDay/time.Duration(rows))
	t.began = time.Now().Add(-time.Duration(rows) * t.every)
	db, err := s.partitioned(ctx, postgres.Narrow)
	return db, t, err
}

func (d *database) fill(ctx context.Context, t *topic, level int64) error {
	for t.offsets() < level {
		d.stage.say(fmt.Sprintf("growth: filling, %d of %d rows", t.offsets(), level))
		if _, err := d.extend(ctx, t, min(fillStep, level-t.offsets())); err != nil {
			return err
		}
	}
	return nil
}

// level measures from a level on. The first needs no other to compare with.
func (d *database) level(ctx context.Context, t *topic, level int64, plan Plan) (Growth, error) {
	first := plan.Levels[0]
	rounds := plan.Rounds
	if level == first {
		rounds = 1
	}
	var grown, small []pace
	var result drained
	for round := range rounds {
		d.stage.say(fmt.Sprintf("growth: from %d rows on, round %d of %d", level, round+1, rounds))
		var err error
		if result, err = d.extend(ctx, t, plan.Measured); err != nil {
			return Growth{}, err
		}
		grown = append(grown, result.pace)
		beside := result.pace
		if level != first {
			if beside, err = d.stage.small(ctx, first, plan.Measured); err != nil {
				return Growth{}, err
			}
		}
		small = append(small, beside)
	}
	if err := d.examine(ctx, t.content, &result); err != nil {
		return Growth{}, err
	}
	queries, err := d.queries(ctx)
	growth := Growth{
		Rows: level, Drain: rateOf(grown), First: rateOf(small),
		BytesPerReading: result.tablePerReading, WALBytes: result.walPerReading, Queries: queries,
	}
	growth.OfFirst = ratios(growth.Drain.PerSecond, growth.First.PerSecond)
	return growth, err
}

// small measures the readings behind the first level in a new database.
func (s *stage) small(ctx context.Context, first, measured int64) (pace, error) {
	db, t, err := s.plot(ctx, first+measured)
	if err != nil {
		return pace{}, err
	}
	defer db.drop()
	if err := db.fill(ctx, t, first); err != nil {
		return pace{}, err
	}
	result, err := db.extend(ctx, t, measured)
	if err != nil {
		return pace{}, err
	}
	return result.pace, db.examine(ctx, t.content, &result)
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
	if err := d.stage.preload(ctx, t, load{
		fleet: fleet, events: events,
		from: t.began.Add(time.Duration(t.offsets()) * t.every), every: t.every,
	}); err != nil {
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
			if err := query.ask(ctx); err != nil && !errors.Is(err, readmodel.ErrNotFound) {
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
