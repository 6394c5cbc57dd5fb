package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// span is a stretch of time, with its beginning and without its end. A zero beginning is minus infinity.
type span struct{ from, to time.Time }

func (s span) sql() string {
	if s.from.IsZero() {
		return fmt.Sprintf(`FROM (MINVALUE) TO ('%s')`, literal(s.to))
	}
	return fmt.Sprintf(`FROM ('%s') TO ('%s')`, literal(s.from), literal(s.to))
}

func literal(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// missing returns the partitions to add after end. After a long pause one wide partition bridges the time in which nobody
// maintained anything, so that neither the number of partitions nor the work grows with the pause.
func missing(end, now time.Time, step time.Duration) []span {
	var spans []span
	if recent := now.Add(-behind).Truncate(step); end.Before(recent) {
		spans = append(spans, span{end, recent})
		end = recent
	}
	for horizon := now.Add(ahead); !end.After(horizon); {
		next := end.Truncate(step).Add(step)
		spans = append(spans, span{end, next})
		end = next
	}
	return spans
}

// partitions are those of one table, without the default one, oldest first.
type partitions struct {
	now     time.Time // the server's
	history span
	regular []partition
}

type partition struct {
	name string
	span
	bytes int64 // with indexes; known of those of the last day only
}

// Narrow is the width of partitions that fill faster than busy.
const Narrow = 10 * time.Minute

const (
	day = 24 * time.Hour
	// quiet is what a partition may take each hour, some 200 rows a second, for a day of them to be no burden on the writers.
	quiet = 128 << 20
	// busy is what a partition may take each hour, some 6,000 rows a second, for an hour of them to be none: half of it is
	// the customer index, which is written to all over and must stay in memory, and which Pack then rebuilds in one piece.
	busy = 4 << 30
)

// step returns how wide the next partition is to be. A table that was quiet for a day gets one a day: hourly ones would be
// thousands in some months, and every query has to open them all before it can leave most of them out.
func (p *partitions) step(table table) time.Duration {
	peak := p.peak()
	switch {
	case peak > busy:
		return Narrow
	case peak > quiet, p.now.Sub(p.begin()) < 2*day:
		return table.step
	default:
		return max(table.step, day)
	}
}

// peak returns the bytes an hour of the partition that filled fastest. One that has begun tells after an hour of its own.
func (p *partitions) peak() float64 {
	var peak float64
	for _, part := range p.regular {
		width := part.to.Sub(part.from)
		if seen := min(width, p.now.Sub(part.from)); seen >= min(width, time.Hour) {
			peak = max(peak, float64(part.bytes)/seen.Hours())
		}
	}
	return peak
}

// begin and end bound the regular partitions; without any both are where history ends.
func (p *partitions) begin() time.Time {
	if len(p.regular) == 0 {
		return p.history.to
	}
	return p.regular[0].from
}

func (p *partitions) end() time.Time {
	if len(p.regular) == 0 {
		return p.history.to
	}
	return p.regular[len(p.regular)-1].to
}

// boundsSQL gives the bounds of the partition part: history has no beginning, and the default partition neither. They are
// read out of their printed form: the catalog has no other.
const boundsSQL = `
 CROSS JOIN LATERAL (
       SELECT (regexp_match(bound, 'FROM \(''([^'']+)''\)'))[1]::timestamptz AS begins,
              (regexp_match(bound, 'TO \(''([^'']+)''\)'))[1]::timestamptz AS ends
         FROM pg_get_expr(part.relpartbound, part.oid) AS bound) AS bounds`

const partitionsSQL = `
SELECT part.relname::text, begins, ends,
       CASE WHEN ends > now() - interval '1 day' THEN pg_total_relation_size(part.oid) ELSE 0 END,
       now()
  FROM pg_inherits
  JOIN pg_class AS part ON part.oid = inhrelid` + boundsSQL + `
 WHERE inhparent = $1::regclass AND ends IS NOT NULL
 ORDER BY begins`

func look(ctx context.Context, db querier, table table) (*partitions, error) {
	rows, err := db.Query(ctx, partitionsSQL, table.name)
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	state := &partitions{}
	var name string
	var from *time.Time
	var to time.Time
	var bytes int64
	_, err = pgx.ForEachRow(rows, []any{&name, &from, &to, &bytes, &state.now}, func() error {
		if from == nil {
			state.history = span{to: to}
		} else {
			state.regular = append(state.regular, partition{name, span{*from, to}, bytes})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	if state.history.to.IsZero() {
		return nil, fmt.Errorf("list partitions: %s is missing", table.history())
	}
	return state, nil
}
