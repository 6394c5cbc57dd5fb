package partition

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Info describes one partition of a table: what it holds, and when it is dropped.
type Info struct {
	Table      string     `json:"table"`
	Name       string     `json:"partition"`
	From       *time.Time `json:"from"` // nil: from the beginning of time, or of the default partition
	To         *time.Time `json:"to"`   // nil of the default partition
	Rows       int64      `json:"rows_estimate"`
	TableBytes int64      `json:"table_bytes"`
	IndexBytes int64      `json:"index_bytes"`
	Age        Seconds    `json:"age_seconds"` // of the youngest reading that belongs there; 0 before the partition has ended
	DropAt     *time.Time `json:"drop_at"`     // under the retention; nil: never
}

// Seconds is a duration that JSON shows in seconds.
type Seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.0f", time.Duration(s).Seconds()), nil
}

// Rows are estimated as the planner does, from the rows per page at the last ANALYZE; before the first one, from the statistics
// collector.
const inventoryQuery = `
SELECT parent.relname::text, part.relname::text, bounds.begins, bounds.ends,
       CASE WHEN part.relpages > 0
            THEN part.reltuples::float8 / part.relpages * (pg_relation_size(part.oid) / current_setting('block_size')::integer)
            ELSE pg_stat_get_live_tuples(part.oid)
       END::bigint,
       pg_table_size(part.oid), pg_indexes_size(part.oid), now()
  FROM pg_inherits
  JOIN pg_class AS parent ON parent.oid = inhparent
  JOIN pg_class AS part ON part.oid = inhrelid` + boundsSQL + `
 WHERE parent.relname = ANY ($1) AND parent.relnamespace = current_schema()::regnamespace
 ORDER BY array_position($1, parent.relname::text), bounds.ends DESC NULLS FIRST`

// Inventory lists all partitions, those of one table together, newest first.
func (m *Maintainer) Inventory(ctx context.Context) ([]Info, error) {
	var names []string
	for _, table := range tables {
		names = append(names, table.name)
	}
	rows, err := m.pool.Query(ctx, inventoryQuery, names)
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	parts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (part Info, err error) {
		var now time.Time
		err = row.Scan(&part.Table, &part.Name, &part.From, &part.To, &part.Rows, &part.TableBytes, &part.IndexBytes, &now)
		part.date(now, m.retention)
		return part, err
	})
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	return parts, nil
}

// date sets the age of the partition and when the retention drops it: once its youngest row has expired.
func (p *Info) date(now time.Time, retention time.Duration) {
	if p.To == nil {
		return
	}
	p.Age = Seconds(max(now.Sub(*p.To), 0))
	if retention > 0 {
		drop := p.To.Add(retention)
		p.DropAt = &drop
	}
}
