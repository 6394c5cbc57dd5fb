package query

import (
	"context"
	"encoding/binary"
	"fmt"

	"heartbeat/internal/progress"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// AuditSnapshot is a snapshot of everything stored, to compare with the broker. It belongs to one goroutine and
// must be closed.
type AuditSnapshot struct {
	tx pgx.Tx
}

// NewAuditSnapshot takes a snapshot. However long it is read, it neither waits for writers nor makes them wait.
func NewAuditSnapshot(ctx context.Context, pool *pgxpool.Pool) (*AuditSnapshot, error) {
	tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("take snapshot: %w", err)
	}
	// Reading every row takes as long as it takes, and the broker is read in between. The SELECT takes the snapshot.
	_, err = tx.Exec(ctx, `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; SELECT`)
	if err != nil {
		_ = tx.Rollback(ctx)
		return nil, fmt.Errorf("take snapshot: %w", err)
	}
	return &AuditSnapshot{tx: tx}, nil
}

// Tx returns the snapshot's transaction, for the comparisons of other packages.
func (a *AuditSnapshot) Tx() pgx.Tx { return a.tx }

// Close gives the snapshot up.
func (a *AuditSnapshot) Close(ctx context.Context) { _ = a.tx.Rollback(ctx) }

// Progress returns the progress of every log, old ones included.
func (a *AuditSnapshot) Progress(ctx context.Context) ([]progress.Stored, error) {
	return ListProgress(ctx, a.tx)
}

// Dropped is how many rows of one partition of one log retention has dropped.
type Dropped struct {
	Log       string
	Partition int32
	Rows      int64
}

const droppedQuery = `
SELECT kafka_topic, kafka_partition, sum(row_count)::bigint
  FROM retired_rows
 WHERE table_name IN ('heartbeat_records', 'heartbeat_anomalies')
 GROUP BY kafka_topic, kafka_partition`

// Dropped returns the rows of readings that retention has dropped, by log and partition.
func (a *AuditSnapshot) Dropped(ctx context.Context) ([]Dropped, error) {
	rows, err := a.tx.Query(ctx, droppedQuery)
	if err != nil {
		return nil, fmt.Errorf("read dropped rows: %w", err)
	}
	dropped, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Dropped])
	if err != nil {
		return nil, fmt.Errorf("read dropped rows: %w", err)
	}
	return dropped, nil
}

// Offsets calls visit for every stored row: records, anomalies, and dead letters that were not replayed.
func (a *AuditSnapshot) Offsets(ctx context.Context, visit func(label string, partition int32, offset int64)) error {
	for _, query := range [...]string{
		`SELECT kafka_topic, kafka_partition::integer, kafka_offset FROM heartbeat_records`,
		`SELECT kafka_topic, kafka_partition, kafka_offset FROM heartbeat_anomalies`,
		`SELECT kafka_topic, kafka_partition, kafka_offset FROM dead_letters WHERE replayed_at IS NULL`,
	} {
		if err := a.visit(ctx, query, visit); err != nil {
			return fmt.Errorf("read offsets of rows: %w", err)
		}
	}
	return nil
}

// Repeats calls visit for every record that was dropped because it repeats an earlier one.
func (a *AuditSnapshot) Repeats(ctx context.Context, visit func(label string, partition int32, offset int64)) error {
	if err := a.visit(ctx, `SELECT kafka_topic, kafka_partition, kafka_offset FROM repeated_records`, visit); err != nil {
		return fmt.Errorf("read offsets of repeats: %w", err)
	}
	return nil
}

// visit reads the rows as they come, for there may be billions: nothing is allocated for one.
func (a *AuditSnapshot) visit(ctx context.Context, query string, visit func(label string, partition int32, offset int64)) error {
	rows, err := a.tx.Query(ctx, query, pgx.QueryResultFormats{pgx.BinaryFormatCode})
	if err != nil {
		return err
	}
	defer rows.Close()
	var label string
	for rows.Next() {
		row := rows.RawValues()
		if string(row[0]) != label {
			label = string(row[0])
		}
		visit(label, int32(binary.BigEndian.Uint32(row[1])), int64(binary.BigEndian.Uint64(row[2])))
	}
	return rows.Err()
}

// Contradiction is a row that breaks a rule.
type Contradiction struct {
	Label     string
	Partition int32
	Offset    int64
	Detail    string
}

// An anomaly and its alert carry the same two times, that of the event and that of their transaction. Retention goes by the
// one for anomalies and by the other for alerts: where either may have been dropped, one without the other is nothing.
const contradictionsQuery = `
WITH kept AS (
    SELECT coalesce(max(up_to) FILTER (WHERE table_name = 'heartbeat_anomalies'), '-infinity') AS anomalies_since,
           coalesce(max(up_to) FILTER (WHERE table_name = 'pipeline_metrics'), '-infinity') AS alerts_since
      FROM retired_rows
), anomaly AS (
    SELECT kafka_topic, kafka_partition, kafka_offset, 'alert_' || lower(anomaly_type) AS alert, heart_rate
      FROM heartbeat_anomalies, kept
     WHERE event_timestamp >= anomalies_since AND ingestion_timestamp >= alerts_since
), alert AS (
    SELECT kafka_topic, kafka_partition, kafka_offset, metric_name, metric_value, metric_unit, count(*) AS times
      FROM pipeline_metrics, kept
     WHERE metric_name LIKE 'alert\_%'
       AND coalesce(event_timestamp, 'infinity') >= anomalies_since AND recorded_at >= alerts_since
     GROUP BY kafka_topic, kafka_partition, kafka_offset, metric_name, metric_value, metric_unit
)
SELECT coalesce(anomaly.kafka_topic, alert.kafka_topic, ''),
       coalesce(anomaly.kafka_partition, alert.kafka_partition, 0),
       coalesce(anomaly.kafka_offset, alert.kafka_offset, 0),
       CASE WHEN alert.metric_name IS NULL THEN 'an anomaly without an alert'
            WHEN anomaly.alert IS NULL THEN 'an alert without an anomaly'
            WHEN alert.times > 1 THEN 'an alert stored ' || alert.times || ' times'
            ELSE 'an alert that is not its anomaly''s' END
  FROM anomaly
  FULL JOIN alert USING (kafka_topic, kafka_partition, kafka_offset)
 WHERE (alert.metric_name, alert.metric_value, alert.metric_unit, alert.times)
       IS DISTINCT FROM (anomaly.alert, anomaly.heart_rate::double precision, 'bpm', 1::bigint)
UNION ALL
SELECT kafka_topic, kafka_partition, kafka_offset, 'a reading of ' || heart_rate || ' bpm among the valid ones'
  FROM heartbeat_records
 WHERE heart_rate NOT BETWEEN 40 AND 180
 LIMIT 1000`

// Contradictions returns alerts and anomalies that do not belong together, and readings in the wrong table.
func (a *AuditSnapshot) Contradictions(ctx context.Context) ([]Contradiction, error) {
	rows, err := a.tx.Query(ctx, contradictionsQuery)
	if err != nil {
		return nil, fmt.Errorf("compare anomalies with alerts: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Contradiction])
	if err != nil {
		return nil, fmt.Errorf("compare anomalies with alerts: %w", err)
	}
	return found, nil
}
