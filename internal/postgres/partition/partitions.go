package partition

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/postgres"
)

// span is a half-open interval of time. A zero beginning is minus infinity.
type span struct{ from, to time.Time }

func (s span) sql() string {
	if s.from.IsZero() {
		return fmt.Sprintf(`FROM (MINVALUE) TO ('%s')`, literal(s.to))
	}
	return fmt.Sprintf(`FROM ('%s') TO ('%s')`, literal(s.from), literal(s.to))
}

func literal(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// missing returns the partitions to add after end. One wide partition covers a long time without maintenance, so that neither the number
// of partitions nor the work grows with it.
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
	regular []timePartition
}

type timePartition struct {
	name string
	span
	bytes int64 // with indexes; 0 if it ended more than a day ago
}

// Narrow is the width of partitions of a table that grows faster than busyBytes.
const Narrow = 10 * time.Minute

const (
	day = 24 * time.Hour
	// quietBytes is the hourly growth, some 200 rows a second, below which daily partitions suffice.
	quietBytes = 128 << 20
	// busyBytes is the hourly growth, some 6,000 rows a second, above which hourly partitions are too large: half of a partition is
	// the customer index, whose pages are all written to and must stay in memory, and which Reindex rebuilds as a whole.
	busyBytes = 4 << 30
)

// step returns the width of the next partition. A table that was quiet for a day gets daily partitions: hourly ones would be thousands
// within months, and planning a query opens each of them.
func (p *partitions) step(table table) time.Duration {
	peak := p.peak()
	switch {
	case peak > busyBytes:
		return Narrow
	case peak > quietBytes, p.now.Sub(p.begin()) < 2*day:
		return table.step
	default:
		return max(table.step, day)
	}
}

// peak returns the growth in bytes an hour of the fastest partition. A partition counts after its first hour.
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

// begin and end bound the regular partitions; without any, both are the end of history.
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

// boundsSQL gives the bounds of the partition part: history has no beginning, the default partition no bound at all. It parses their
// printed form: the catalog has no other.
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

func list(ctx context.Context, db postgres.Querier, table table) (*partitions, error) {
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
			state.regular = append(state.regular, timePartition{name, span{*from, to}, bytes})
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
