package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// retire drops the partitions that lie wholly beyond the retention, oldest first, and moves history up behind them.
func (t *Tables) retire(ctx context.Context, table table) error {
	state, err := look(ctx, t.pool, table)
	if err != nil {
		return err
	}
	oldest := state.now.Add(-t.retention)
	for len(state.regular) > 0 && !state.regular[0].to.After(oldest) {
		old := state.regular[0]
		err := t.change(ctx, func(tx pgx.Tx) error { return drop(ctx, tx, table, old.name, old.to) })
		if err != nil {
			return fmt.Errorf("drop %s: %w", old.name, err)
		}
		state.regular = state.regular[1:]
	}
	if state.history.to.After(oldest) {
		return nil
	}
	if err := t.moveHistory(ctx, table, state); err != nil {
		return fmt.Errorf("drop %s: %w", table.history(), err)
	}
	return t.forgetMinutes(ctx, table, state.begin())
}

// drop counts a partition's rows and drops it in one transaction, so that the audit still adds up. While it counts, only
// who writes to this very partition waits; the lock on the whole table comes last and is short.
func drop(ctx context.Context, tx pgx.Tx, table table, name string, to time.Time) error {
	_, err := tx.Exec(ctx, fmt.Sprintf(`
SET LOCAL lock_timeout = '3s'; -- longer than deadlock_timeout, after which an autovacuum steps aside
LOCK TABLE %[1]s IN SHARE MODE;
INSERT INTO retired_rows AS held (table_name, kafka_topic, kafka_partition, row_count, up_to)
SELECT '%[2]s', kafka_topic, kafka_partition, count(*), '%[3]s'
  FROM %[1]s
 WHERE kafka_topic IS NOT NULL
 GROUP BY kafka_topic, kafka_partition
    ON CONFLICT (table_name, kafka_topic, kafka_partition) DO UPDATE
   SET row_count = held.row_count + EXCLUDED.row_count,
       up_to     = greatest(held.up_to, EXCLUDED.up_to);
SET LOCAL lock_timeout = '500ms';
DROP TABLE %[1]s`,
		name, table.name, literal(to)))
	return err
}

// moveHistory drops what history holds, which is all too old, and makes it reach up to the oldest regular partition.
func (t *Tables) moveHistory(ctx context.Context, table table, state *partitions) error {
	return t.change(ctx, func(tx pgx.Tx) error {
		var holdsRows bool
		if err := tx.QueryRow(ctx, fmt.Sprintf(`SELECT EXISTS (SELECT FROM %s)`, table.history())).Scan(&holdsRows); err != nil {
			return err
		}
		reaches := span{to: state.begin()}
		if !holdsRows && reaches == state.history {
			return nil
		}
		if err := drop(ctx, tx, table, table.history(), state.history.to); err != nil {
			return err
		}
		return attach(ctx, tx, table, table.history(), reaches)
	})
}

// forgetMinutes drops the rollup of what is dropped. A minute has a row per Kafka partition: here DELETE is cheap.
func (t *Tables) forgetMinutes(ctx context.Context, table table, before time.Time) error {
	if table.name != "heartbeat_records" {
		return nil
	}
	if _, err := t.pool.Exec(ctx, `DELETE FROM fleet_minute WHERE minute < $1`, before); err != nil {
		return fmt.Errorf("drop minutes: %w", err)
	}
	return nil
}
