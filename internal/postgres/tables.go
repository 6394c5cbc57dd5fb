package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// table is a table that is partitioned by time.
type table struct {
	name   string
	column string // the time that decides
	step   time.Duration
}

// partitionedTables have, from old to new, a history partition, regular ones without a gap, and a default partition for
// what lies ahead of them.
var partitionedTables = [...]table{
	{"heartbeat_records", "event_timestamp", time.Hour},
	{"heartbeat_anomalies", "event_timestamp", time.Hour},
	{"pipeline_metrics", "recorded_at", day},
}

func (t table) history() string { return t.name + "_history" }

func (t table) future() string { return t.name + "_future" }

// regular names the partition of a span. A name without minutes is that of a whole hour or more.
func (t table) regular(s span) string {
	layout := "2006010215"
	if s.from.Minute() != 0 || s.to.Sub(s.from) < time.Hour {
		layout += "04"
	}
	return t.name + "_p" + s.from.UTC().Format(layout)
}

const (
	// ahead is how early partitions are created: early enough for a night without anybody at work, and for lock timeouts.
	ahead = 3 * time.Hour
	// behind is how far back regular partitions begin for readings that come late.
	behind = day
	// maintenanceLock is the key of the advisory lock that lets one process change partitions at a time.
	maintenanceLock = 0x6865617274_0002
)

// Tables keeps the partitions of the tables: it creates regular ones ahead of time, packs the indexes of those that are
// over and, where a retention is on, drops old ones. The server's clock decides, never the times of readings. Any number
// of processes may do it at once.
type Tables struct {
	Packed func(Packing) // is told of each index that Pack has rebuilt; may be nil, and is not to change during a Pack
	// Width, where set, is how wide partitions of readings and of anomalies are, for those who know the rate beforehand.
	Width time.Duration

	pool      *pgxpool.Pool
	retention time.Duration
	packAbove int64
}

// NewTables returns Tables on a pool, which stays the caller's to close. A retention of 0 drops nothing ever.
func NewTables(pool *pgxpool.Pool, retention time.Duration) *Tables {
	return &Tables{pool: pool, retention: retention, packAbove: packAbove}
}

// Now returns the server's time.
func (t *Tables) Now(ctx context.Context) (now time.Time, err error) {
	if err := t.pool.QueryRow(ctx, `SELECT now()`).Scan(&now); err != nil {
		return now, fmt.Errorf("read the database's clock: %w", err)
	}
	return now, nil
}

// errBusy says that another process is changing partitions: what is left to do, it does.
var errBusy = errors.New("another process maintains the partitions")

// Maintain does what is due and is to be called at the start and once a minute. What it fails to do, for a lock that it did
// not get in time or a server that is away, it does when it is called again; until then no row is refused.
func (t *Tables) Maintain(ctx context.Context) error {
	var failures []error
	for _, table := range partitionedTables {
		err := t.maintain(ctx, table)
		if errors.Is(err, errBusy) {
			return nil
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("maintain partitions of %s: %w", table.name, err))
		}
	}
	return errors.Join(failures...)
}

func (t *Tables) maintain(ctx context.Context, table table) error {
	state, err := look(ctx, t.pool, table)
	if err != nil {
		return err
	}
	for _, span := range missing(state.end(), state.now, t.step(state, table)) {
		if err := t.create(ctx, table, span); err != nil {
			return fmt.Errorf("create %s: %w", table.regular(span), err)
		}
	}
	if t.retention <= 0 {
		return nil
	}
	return t.retire(ctx, table)
}

func (t *Tables) step(state *partitions, table table) time.Duration {
	if t.Width > 0 && table.step < day {
		return t.Width
	}
	return state.step(table)
}

// create adds one regular partition unless another process has just done it, perhaps in another width.
func (t *Tables) create(ctx context.Context, table table, span span) error {
	return t.change(ctx, func(tx pgx.Tx) error {
		state, err := look(ctx, tx, table)
		if err != nil || !state.end().Equal(span.from) {
			return err
		}
		return attach(ctx, tx, table, table.regular(span), span)
	})
}

// change runs a change of partitions in a transaction of its own. It takes as long as it needs, but nobody is kept
// waiting by it: a lock that readers and writers queue behind is had soon or not at all.
func (t *Tables) change(ctx context.Context, steps func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, t.pool, func(tx pgx.Tx) error {
		var ours bool
		err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock($1)`, int64(maintenanceLock)).Scan(&ours)
		if err != nil {
			return err
		}
		if !ours {
			return errBusy
		}
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '1s'`); err != nil {
			return err
		}
		return steps(tx)
	})
}

// attach creates a table, moves into it what the default partition holds of its span, and makes it a partition. Only
// the default partition is locked for that, where no row belongs that has a partition of its own.
func attach(ctx context.Context, tx pgx.Tx, table table, name string, span span) error {
	condition := fmt.Sprintf(`%s < '%s'`, table.column, literal(span.to))
	if !span.from.IsZero() {
		condition += fmt.Sprintf(` AND %s >= '%s'`, table.column, literal(span.from))
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(`
CREATE TABLE %[1]s (LIKE %[2]s INCLUDING ALL EXCLUDING IDENTITY);
LOCK TABLE %[3]s IN ACCESS EXCLUSIVE MODE;
WITH moved AS (DELETE FROM %[3]s WHERE %[4]s RETURNING *) INSERT INTO %[1]s SELECT * FROM moved;
ALTER TABLE %[2]s ATTACH PARTITION %[1]s FOR VALUES %[5]s`,
		name, table.name, table.future(), condition, span.sql()))
	return err
}
