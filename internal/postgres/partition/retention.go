package partition

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/postgres"
)

// retentionComment begins the comment on the default partition of readings that tells others of the retention.
const retentionComment = "retention "

const publishedRetentionSQL = `SELECT coalesce(obj_description(to_regclass('heartbeat_records_future'), 'pg_class'), '')`

// publishRetention lets imports know which readings consumers refuse.
func (m *Maintainer) publishRetention(ctx context.Context) error {
	published, err := PublishedRetention(ctx, m.pool)
	if err != nil || published == m.retention {
		return err
	}
	comment := "NULL"
	if m.retention > 0 {
		comment = "'" + retentionComment + m.retention.String() + "'"
	}
	if _, err := m.pool.Exec(ctx, `COMMENT ON TABLE heartbeat_records_future IS `+comment); err != nil {
		return fmt.Errorf("publish the retention: %w", err)
	}
	return nil
}

// PublishedRetention returns the retention with which consumers maintain the tables, 0 where there is none.
func PublishedRetention(ctx context.Context, database postgres.Querier) (time.Duration, error) {
	rows, err := database.Query(ctx, publishedRetentionSQL)
	if err != nil {
		return 0, fmt.Errorf("read the retention: %w", err)
	}
	comment, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
	if err != nil {
		return 0, fmt.Errorf("read the retention: %w", err)
	}
	text, ok := strings.CutPrefix(comment, retentionComment)
	if !ok {
		return 0, nil
	}
	retention, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("read the retention: %w", err)
	}
	return retention, nil
}

// dropExpired drops the partitions that lie wholly beyond the retention, oldest first, and extends history up to the remaining ones.
func (m *Maintainer) dropExpired(ctx context.Context, table table) error {
	state, err := list(ctx, m.pool, table)
	if err != nil {
		return err
	}
	oldest := state.now.Add(-m.retention)
	for len(state.regular) > 0 && !state.regular[0].to.After(oldest) {
		old := state.regular[0]
		err := m.change(ctx, func(tx pgx.Tx) error { return drop(ctx, tx, table, old.name, old.to) })
		if err != nil {
			return fmt.Errorf("drop %s: %w", old.name, err)
		}
		state.regular = state.regular[1:]
	}
	if state.history.to.After(oldest) {
		return nil
	}
	if err := m.moveHistory(ctx, table, state); err != nil {
		return fmt.Errorf("drop %s: %w", table.history(), err)
	}
	return m.forgetMinutes(ctx, table, state.begin())
}

// drop counts a partition's rows and drops it in one transaction, so that the audit still adds up. While it counts, only writers to
// this partition wait; the lock on the whole table comes last and is short.
func drop(ctx context.Context, tx pgx.Tx, table table, name string, to time.Time) error {
	_, err := tx.Exec(ctx, fmt.Sprintf(`
SET LOCAL lock_timeout = '3s'; -- longer than deadlock_timeout, after which the server cancels an autovacuum that holds the lock
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

// moveHistory drops the rows of history, which are all expired, and extends it to the oldest regular partition.
func (m *Maintainer) moveHistory(ctx context.Context, table table, state *partitions) error {
	return m.change(ctx, func(tx pgx.Tx) error {
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

// A row of repeat_windows is outdated when the later ones have as many ids as the window of their partition holds.
const dropRepeatWindowsSQL = `
DELETE FROM repeat_windows AS old
 USING (SELECT kafka_topic, kafka_partition, last_offset,
               first_value(held) OVER newest AS held, sum(id_count) OVER newest - id_count AS newer
          FROM repeat_windows
        WINDOW newest AS (PARTITION BY kafka_topic, kafka_partition ORDER BY last_offset DESC)) AS numbered
 WHERE old.kafka_topic = numbered.kafka_topic AND old.kafka_partition = numbered.kafka_partition
   AND old.last_offset = numbered.last_offset AND numbered.newer >= numbered.held`

// repeatsKept is for how much longer than readings the offsets of dropped repeats are kept: Kafka may still have their records,
// which the audit would miss.
const repeatsKept = 7 * day

// forgetRepeats deletes ids that no record is compared with any more, and offsets of repeats beyond the retention.
func (m *Maintainer) forgetRepeats(ctx context.Context) error {
	if _, err := m.pool.Exec(ctx, dropRepeatWindowsSQL); err != nil {
		return fmt.Errorf("drop outdated ids of records: %w", err)
	}
	if m.retention <= 0 {
		return nil
	}
	_, err := m.pool.Exec(ctx, `DELETE FROM repeated_records WHERE recorded_at < now() - $1::interval`, m.retention+repeatsKept)
	if err != nil {
		return fmt.Errorf("drop offsets of repeats: %w", err)
	}
	return nil
}

// forgetMinutes deletes the minutes of dropped readings. A minute has one row for each Kafka partition, so DELETE is cheap.
func (m *Maintainer) forgetMinutes(ctx context.Context, table table, before time.Time) error {
	if table.name != "heartbeat_records" {
		return nil
	}
	if _, err := m.pool.Exec(ctx, `DELETE FROM fleet_minute WHERE minute < $1`, before); err != nil {
		return fmt.Errorf("drop minutes: %w", err)
	}
	return nil
}
