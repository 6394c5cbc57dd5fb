package partition

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

// tables have, from old to new, a history partition, regular partitions without a gap, and a default partition for rows ahead of them.
var tables = [...]table{
	{"heartbeat_records", "event_timestamp", time.Hour},
	{"heartbeat_anomalies", "event_timestamp", time.Hour},
	{"pipeline_metrics", "recorded_at", day},
}

func (t table) history() string { return t.name + "_history" }

func (t table) future() string { return t.name + "_future" }

// regular names the partition of a span. The name of a whole hour or more has no minutes.
func (t table) regular(s span) string {
	layout := "2006010215"
	if s.from.Minute() != 0 || s.to.Sub(s.from) < time.Hour {
		layout += "04"
	}
	return t.name + "_p" + s.from.UTC().Format(layout)
}

const (
	// ahead is how early partitions are created: early enough to survive lock timeouts and a few hours without maintenance.
	ahead = 3 * time.Hour
	// behind is how far back regular partitions begin, for late readings.
	behind = day
	// maintenanceLock is the key of the advisory lock that lets one process change partitions at a time.
	maintenanceLock = 0x6865617274_0002
	// lockKey is the SQL of an advisory lock's key, which $1 gives for public: each schema of a database is maintained on its own.
	lockKey = `$1::bigint # CASE current_schema() WHEN 'public' THEN 0 ELSE hashtextextended(current_schema(), 0) END`
)

// Maintainer creates partitions ahead of time, rebuilds the indexes of finished ones and drops expired ones. Any number of processes
// may run one.
type Maintainer struct {
	OnReindexed func(Reindexed) // receives each index that Reindex has rebuilt; may be nil, and must not change during Reindex
	// Width, if set, is the width of partitions of readings and of anomalies, for callers who know the rate in advance.
	Width time.Duration

	pool         *pgxpool.Pool
	retention    time.Duration
	reindexAbove int64
}

// New returns a Maintainer on a pool, which the caller closes. A retention of 0 drops nothing.
func New(pool *pgxpool.Pool, retention time.Duration) *Maintainer {
	return &Maintainer{pool: pool, retention: retention, reindexAbove: minReindexBytes}
}

// Now returns the server's time.
func (m *Maintainer) Now(ctx context.Context) (now time.Time, err error) {
	if err := m.pool.QueryRow(ctx, `SELECT now()`).Scan(&now); err != nil {
		return now, fmt.Errorf("read the database's clock: %w", err)
	}
	return now, nil
}

// errBusy says that another process is changing partitions and will do the rest.
var errBusy = errors.New("another process maintains the partitions")

// Maintain does what is due. Call it at the start and once a minute. Work that fails, for lack of a lock or of a server, is done by the
// next call; until then the default partition accepts the rows.
func (m *Maintainer) Maintain(ctx context.Context) error {
	var failures []error
	if err := m.publishRetention(ctx); err != nil {
		failures = append(failures, err)
	}
	for _, table := range tables {
		err := m.maintain(ctx, table)
		if errors.Is(err, errBusy) {
			return nil
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("maintain partitions of %s: %w", table.name, err))
		}
	}
	failures = append(failures, m.forgetRepeats(ctx))
	return errors.Join(failures...)
}

func (m *Maintainer) maintain(ctx context.Context, table table) error {
	state, err := list(ctx, m.pool, table)
	if err != nil {
		return err
	}
	for _, span := range missing(state.end(), state.now, m.step(state, table)) {
		if err := m.create(ctx, table, span); err != nil {
			return fmt.Errorf("create %s: %w", table.regular(span), err)
		}
	}
	if m.retention <= 0 {
		return nil
	}
	return m.dropExpired(ctx, table)
}

func (m *Maintainer) step(state *partitions, table table) time.Duration {
	if m.Width > 0 && table.step < day {
		return m.Width
	}
	return state.step(table)
}

// create adds one regular partition unless another process has just added one here, perhaps of another width.
func (m *Maintainer) create(ctx context.Context, table table, span span) error {
	return m.change(ctx, func(tx pgx.Tx) error {
		state, err := list(ctx, tx, table)
		if err != nil || !state.end().Equal(span.from) {
			return err
		}
		return attach(ctx, tx, table, table.regular(span), span)
	})
}

// change runs a change of partitions in a transaction of any length. Its lock timeout is short, because readers and writers queue behind
// a lock that it waits for.
func (m *Maintainer) change(ctx context.Context, steps func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, m.pool, func(tx pgx.Tx) error {
		var acquired bool
		err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(`+lockKey+`)`, int64(maintenanceLock)).Scan(&acquired)
		if err != nil {
			return err
		}
		if !acquired {
			return errBusy
		}
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '1s'`); err != nil {
			return err
		}
		return steps(tx)
	})
}

// attach creates a table, moves the rows of its span from the default partition into it, and makes it a partition. It locks only the
// default partition, which receives no row that has a partition of its own.
func attach(ctx context.Context, tx pgx.Tx, table table, name string, span span) error {
	condition := fmt.Sprintf(`%s < '%s'`, table.column, literal(span.to))
	if !span.from.IsZero() {
		condition += fmt.Sprintf(` AND %s >= '%s'`, table.column, literal(span.from))
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(`
CREATE TABLE %[1]s (LIKE %[2]s INCLUDING ALL EXCLUDING IDENTITY);
LOCK TABLE %[3]s IN ACCESS EXCLUSIVE MODE;
ALTER TABLE %[3]s REPLICA IDENTITY FULL; -- a publication of all tables refuses the DELETE without one
WITH moved AS (DELETE FROM %[3]s WHERE %[4]s RETURNING *) INSERT INTO %[1]s SELECT * FROM moved;
ALTER TABLE %[2]s ATTACH PARTITION %[1]s FOR VALUES %[5]s`,
		name, table.name, table.future(), condition, span.sql()))
	return err
}
