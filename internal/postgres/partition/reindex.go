package partition

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/schema"
)

const (
	// reindexLock is the key of the advisory lock that lets one process reindex at a time. It does not block maintenance.
	reindexLock = 0x6865617274_0003
	// minReindexBytes is the size of an index above which a rebuild is worth its cost.
	minReindexBytes = 8 << 20
	// stopTimeout is how long a server may take to confirm that it has cancelled a rebuild, and again to close the session.
	stopTimeout = 2 * time.Second
)

// reindexedTables have btree indexes that grow at random places: pages split, and the older half stays half empty. The indexes of
// pipeline_metrics grow at few places only.
var reindexedTables = []string{"heartbeat_records", "heartbeat_anomalies"}

// Reindexed is what Reindex did to one index.
type Reindexed struct {
	Index         string
	Before, After int64 // bytes
	Took          time.Duration
}

// Reindex rebuilds, once each and newest first, the btree indexes of the regular partitions that ended by settled. Call it
// repeatedly: it does nothing while another process reindexes or when nothing is due. It waits for other sessions' transactions for
// as long as the context lasts.
func (m *Maintainer) Reindex(ctx context.Context, settled time.Time) error {
	err := m.reindex(ctx, settled)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("reindex: %w", err)
	}
	return nil
}

func (m *Maintainer) reindex(ctx context.Context, settled time.Time) error {
	if due, err := m.due(ctx, m.pool, settled); err != nil || len(due) == 0 {
		return err
	}
	conn, err := connectToReindex(ctx, m.pool)
	if err != nil {
		return err
	}
	defer closeSession(ctx, conn) // releases the lock
	var acquired bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(`+lockKey+`)`, int64(reindexLock)).Scan(&acquired); err != nil || !acquired {
		return err
	}
	due, err := m.due(ctx, conn, settled) // again: another process may have finished meanwhile
	if err != nil {
		return err
	}
	for _, index := range due {
		if err := m.process(ctx, conn, index); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", index.name, err), m.dropLeftovers(ctx, conn, settled))
		}
	}
	return nil
}

// dropLeftovers frees the space of a failed rebuild at once: the lack of space may be what failed it.
func (m *Maintainer) dropLeftovers(ctx context.Context, conn *pgx.Conn, settled time.Time) error {
	if ctx.Err() != nil || conn.IsClosed() {
		return nil // the next call drops them
	}
	due, err := m.due(ctx, conn, settled)
	for _, index := range due {
		if index.leftover {
			err = errors.Join(err, m.process(ctx, conn, index))
		}
	}
	return err
}

// connectToReindex opens a session outside the pool: it is busy for minutes, and the pool has one for each writer. It builds without
// parallel workers, which would take cores from ingest.
func connectToReindex(ctx context.Context, pool *pgxpool.Pool) (*pgx.Conn, error) {
	conn, err := postgres.ConnectUnlimited(ctx, pool, func(config *pgx.ConnConfig) {
		// pgx would close the connection on cancellation, and the server would go on rebuilding.
		config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
			return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: stopTimeout}
		}
	})
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, `SET lock_timeout = 0; SET max_parallel_maintenance_workers = 0`); err != nil {
		closeSession(ctx, conn)
		return nil, fmt.Errorf("set up session: %w", err)
	}
	return conn, nil
}

func closeSession(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	_ = conn.Close(ctx)
}

// dueIndex is an index to rebuild, or the leftover of an interrupted rebuild.
type dueIndex struct {
	name     string // quoted where SQL needs it
	leftover bool
	owned    bool
	bytes    int64
	rowBytes int64 // of the partition without indexes
}

// The comment on an index marks it as rebuilt. A comment survives the rebuild, a restart and a dump, and records the size of the
// partition: one that has grown by half since, because a consumer caught up, is rebuilt again. Earlier versions wrote "packed".
//
// The leftover of an interrupted rebuild is an invalid index with a name that the server chose. It slows each write and serves no query.
const dueQuery = `
SELECT index.oid::regclass::text, NOT indisvalid, pg_has_role(part.relowner, 'USAGE'),
       coalesce(pg_relation_size(index.oid), 0), coalesce(pg_relation_size(part.oid), 0)
  FROM pg_inherits
  JOIN pg_class AS part ON part.oid = inhrelid
  JOIN pg_index ON indrelid = part.oid
  JOIN pg_class AS index ON index.oid = indexrelid
  JOIN pg_am ON pg_am.oid = index.relam` + boundsSQL + `
 WHERE inhparent = ANY ($1::regclass[])
   AND CASE WHEN indisvalid
            THEN amname = 'btree'
                 AND begins IS NOT NULL AND ends <= $2
                 AND pg_relation_size(index.oid) > $3
                 AND pg_relation_size(part.oid) > 1.5 * coalesce(
                     substring(obj_description(index.oid, 'pg_class') FROM '^(?:reindexed|packed) at ([0-9]+) bytes of rows$')::bigint, 0)
            ELSE index.relname ~ '_cc(new|old)[0-9]*$'
       END
 ORDER BY indisvalid, ends DESC, index.relname`

func (m *Maintainer) due(ctx context.Context, db postgres.Querier, settled time.Time) ([]dueIndex, error) {
	rows, err := db.Query(ctx, dueQuery, reindexedTables, settled, m.reindexAbove)
	if err != nil {
		return nil, fmt.Errorf("list indexes: %w", err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (index dueIndex, err error) {
		err = row.Scan(&index.name, &index.leftover, &index.owned, &index.bytes, &index.rowBytes)
		return index, err
	})
	if err != nil {
		return nil, fmt.Errorf("list indexes: %w", err)
	}
	for _, index := range due {
		if !index.owned {
			return nil, fmt.Errorf("%s belongs to another database user than %s: run heartbeat migrate --roles and sign in as %s",
				index.name, m.pool.Config().ConnConfig.User, schema.IngestRole)
		}
	}
	return due, nil
}

// process rebuilds or drops an index. An index that retention has dropped meanwhile is no failure.
func (m *Maintainer) process(ctx context.Context, conn *pgx.Conn, index dueIndex) error {
	work := m.rebuild
	if index.leftover {
		work = dropLeftover
	}
	err := work(ctx, conn, index)
	if err == nil || ctx.Err() != nil {
		return err
	}
	var gone bool
	if lookupErr := conn.QueryRow(ctx, `SELECT to_regclass($1) IS NULL`, index.name).Scan(&gone); lookupErr == nil && gone {
		return nil
	}
	return err
}

func dropLeftover(ctx context.Context, conn *pgx.Conn, index dueIndex) error {
	_, err := conn.Exec(ctx, `DROP INDEX CONCURRENTLY IF EXISTS `+index.name)
	return err
}

// rebuild marks the index last: an interrupted rebuild is repeated. The default fill factor of 90 % stays, because late readings would
// split full pages again.
func (m *Maintainer) rebuild(ctx context.Context, conn *pgx.Conn, index dueIndex) error {
	began := time.Now()
	for _, statement := range []string{
		fmt.Sprintf(`REINDEX INDEX CONCURRENTLY %s`, index.name),
		fmt.Sprintf(`COMMENT ON INDEX %s IS 'reindexed at %d bytes of rows'`, index.name, index.rowBytes),
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	done := Reindexed{Index: index.name, Before: index.bytes, Took: time.Since(began)}
	if err := conn.QueryRow(ctx, `SELECT pg_relation_size($1::regclass)`, index.name).Scan(&done.After); err != nil {
		return err
	}
	if m.OnReindexed != nil {
		m.OnReindexed(done)
	}
	return nil
}
