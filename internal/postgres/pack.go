package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// packLock is the key of the advisory lock that lets one process pack at a time. Partitions are maintained meanwhile.
	packLock = 0x6865617274_0003
	// packAbove is the size beyond which packing an index is worth its while.
	packAbove = 8 << 20
	// packStop is how long a server may take to confirm that it has stopped a rebuild, and then that the session is over.
	packStop = 2 * time.Second
)

// packedTables have btree indexes that are written to all over. Their pages split in halves, of which the older is never
// filled again. Those of pipeline_metrics grow at a few places only.
var packedTables = []string{"heartbeat_records", "heartbeat_anomalies"}

// Packing is what Pack did to one index.
type Packing struct {
	Index         string
	Before, After int64 // bytes
	Took          time.Duration
}

// Pack rebuilds the btree indexes of the regular partitions that ended by settled, each once, newest first. It is to be
// called again and again: it does nothing while another process packs or nothing is due. Nobody waits for it, so it waits
// for others, perhaps long, until the context ends.
func (t *Tables) Pack(ctx context.Context, settled time.Time) error {
	err := t.pack(ctx, settled)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("pack indexes: %w", err)
	}
	return nil
}

func (t *Tables) pack(ctx context.Context, settled time.Time) error {
	if due, err := t.due(ctx, t.pool, settled); err != nil || len(due) == 0 {
		return err
	}
	conn, err := connectToPack(ctx, t.pool)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn) // gives up the lock
	var ours bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(packLock)).Scan(&ours); err != nil || !ours {
		return err
	}
	due, err := t.due(ctx, conn, settled) // again: another process may have packed since
	if err != nil {
		return err
	}
	for _, index := range due {
		if err := t.settle(ctx, conn, index); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", index.name, err), t.sweep(ctx, conn, settled))
		}
	}
	return nil
}

// sweep gives back at once the space of a rebuild that failed, perhaps for lack of it.
func (t *Tables) sweep(ctx context.Context, conn *pgx.Conn, settled time.Time) error {
	if ctx.Err() != nil || conn.IsClosed() {
		return nil // the next call sweeps
	}
	due, err := t.due(ctx, conn, settled)
	for _, index := range due {
		if index.leftover {
			err = errors.Join(err, t.settle(ctx, conn, index))
		}
	}
	return err
}

// connectToPack opens a session beside the pool: it is busy for minutes, and no writer is to go without one for that. One
// process builds the index, for readings that come in meanwhile need the other cores.
func connectToPack(ctx context.Context, pool *pgxpool.Pool) (*pgx.Conn, error) {
	config := unhurried(pool)
	config.RuntimeParams["lock_timeout"] = "0"
	config.RuntimeParams["max_parallel_maintenance_workers"] = "0"
	// The driver's own way ends the connection, and leaves the server at work.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: packStop}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to database: %w", err)
	}
	return conn, nil
}

func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), packStop)
	defer cancel()
	_ = conn.Close(ctx)
}

// dueIndex is an index to be rebuilt, or what a rebuild that broke off has left behind.
type dueIndex struct {
	name     string // as SQL has it
	leftover bool
	owned    bool
	bytes    int64
	rowBytes int64 // of the partition without indexes
}

// An index is packed when its comment says so. The comment outlives the rebuild, a restart and a dump, and tells how large
// the partition was: one that grew by half since, because a consumer that was away has caught up, is packed again.
//
// What a rebuild leaves behind is an invalid index with a name of the server's. It costs every write, and serves no query.
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
                     substring(obj_description(index.oid, 'pg_class') FROM '^packed at ([0-9]+) bytes of rows$')::bigint, 0)
            ELSE index.relname ~ '_cc(new|old)[0-9]*$'
       END
 ORDER BY indisvalid, ends DESC, index.relname`

func (t *Tables) due(ctx context.Context, db querier, settled time.Time) ([]dueIndex, error) {
	rows, err := db.Query(ctx, dueQuery, packedTables, settled, t.packAbove)
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
				index.name, t.pool.Config().ConnConfig.User, IngestRole)
		}
	}
	return due, nil
}

// settle does what is due to an index. That retention has dropped it meanwhile is no failure.
func (t *Tables) settle(ctx context.Context, conn *pgx.Conn, index dueIndex) error {
	work := t.rebuild
	if index.leftover {
		work = dropLeftover
	}
	err := work(ctx, conn, index)
	if err == nil || ctx.Err() != nil {
		return err
	}
	var gone bool
	if lookErr := conn.QueryRow(ctx, `SELECT to_regclass($1) IS NULL`, index.name).Scan(&gone); lookErr == nil && gone {
		return nil
	}
	return err
}

func dropLeftover(ctx context.Context, conn *pgx.Conn, index dueIndex) error {
	_, err := conn.Exec(ctx, `DROP INDEX CONCURRENTLY IF EXISTS `+index.name)
	return err
}

// rebuild marks the index when all is done: what breaks off is done again. It leaves the usual tenth of each page free, for
// in a full page every late reading would make a half of it.
func (t *Tables) rebuild(ctx context.Context, conn *pgx.Conn, index dueIndex) error {
	began := time.Now()
	for _, statement := range []string{
		fmt.Sprintf(`REINDEX INDEX CONCURRENTLY %s`, index.name),
		fmt.Sprintf(`COMMENT ON INDEX %s IS 'packed at %d bytes of rows'`, index.name, index.rowBytes),
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	packing := Packing{Index: index.name, Before: index.bytes, Took: time.Since(began)}
	if err := conn.QueryRow(ctx, `SELECT pg_relation_size($1::regclass)`, index.name).Scan(&packing.After); err != nil {
		return err
	}
	if t.Packed != nil {
		t.Packed(packing)
	}
	return nil
}
