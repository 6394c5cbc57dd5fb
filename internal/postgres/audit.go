package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Audit is one snapshot of what is stored, for holding it against what the broker has. It belongs to one goroutine and
// must be closed.
type Audit struct {
	tx pgx.Tx
}

// NewAudit takes a snapshot. However long it is read, it neither waits for writers nor makes them wait.
func NewAudit(ctx context.Context, pool *pgxpool.Pool) (*Audit, error) {
	tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("take snapshot: %w", err)
	}
	// Reading every row takes as long as it takes, and the broker is read in between.
	if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
		_ = tx.Rollback(ctx)
		return nil, fmt.Errorf("take snapshot: %w", err)
	}
	return &Audit{tx: tx}, nil
}

// Close gives the snapshot up.
func (a *Audit) Close(ctx context.Context) { _ = a.tx.Rollback(ctx) }

// LogState is what the progress says about one partition of one log.
type LogState struct {
	Topic        string
	TopicID      [16]byte
	Label        string
	Partition    int32
	Current      bool // no later log of this topic and partition
	First, Next  int64
	Records      int64
	Anomalies    int64
	DeadLettered int64
	Skipped      int64
	Lost         int64
	Retired      int64 // rows that retention has dropped since
}

const logStatesQuery = `
SELECT topic_name, topic_id, kafka_topic, partition,
       incarnation = max(incarnation) OVER (PARTITION BY topic_name, partition),
       first_offset, next_offset, stored, anomalies, dead_lettered, skipped, lost,
       coalesce((SELECT sum(row_count) FROM retired_rows
                  WHERE retired_rows.kafka_topic = ingest_progress.kafka_topic
                    AND kafka_partition = partition
                    AND table_name IN ('heartbeat_records', 'heartbeat_anomalies')), 0)::bigint
  FROM ingest_progress
 ORDER BY topic_name, incarnation, partition`

// Logs returns the progress of every log, old ones included.
func (a *Audit) Logs(ctx context.Context) ([]LogState, error) {
	rows, err := a.tx.Query(ctx, logStatesQuery)
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	logs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[LogState])
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	return logs, nil
}

// Offsets calls visit for every stored row: records, anomalies, and dead letters that were not replayed.
func (a *Audit) Offsets(ctx context.Context, visit func(label string, partition int32, offset int64)) error {
	var label string
	var partition int32
	var offset int64
	for _, query := range [...]string{
		`SELECT kafka_topic, kafka_partition::integer, kafka_offset FROM heartbeat_records`,
		`SELECT kafka_topic, kafka_partition, kafka_offset FROM heartbeat_anomalies`,
		`SELECT kafka_topic, kafka_partition, kafka_offset FROM dead_letters WHERE replayed_at IS NULL`,
	} {
		rows, err := a.tx.Query(ctx, query)
		if err != nil {
			return fmt.Errorf("read offsets of rows: %w", err)
		}
		_, err = pgx.ForEachRow(rows, []any{&label, &partition, &offset}, func() error {
			visit(label, partition, offset)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read offsets of rows: %w", err)
		}
	}
	return nil
}

// Contradiction is a row that breaks a rule.
type Contradiction struct {
	Label     string
	Partition int32
	Offset    int64
	Detail    string
}

// An alert whose anomaly may have been dropped by retention, or the other way round, contradicts nothing.
const contradictionsQuery = `
WITH kept AS (
    SELECT coalesce(max(up_to), '-infinity') AS since
      FROM retired_rows
), alerts AS (
    SELECT metric_name, metric_value, kafka_topic, kafka_partition, kafka_offset, event_timestamp
      FROM pipeline_metrics
     WHERE metric_name IN ('alert_bradycardia', 'alert_tachycardia', 'alert_invalid')
)
SELECT coalesce(anomaly.kafka_topic, alert.kafka_topic, ''),
       coalesce(anomaly.kafka_partition, alert.kafka_partition, 0),
       coalesce(anomaly.kafka_offset, alert.kafka_offset, 0),
       CASE WHEN alert.metric_name IS NULL THEN 'an anomaly without an alert'
            WHEN anomaly.anomaly_type IS NULL THEN 'an alert without an anomaly'
            ELSE 'an alert that is not its anomaly''s' END
  FROM heartbeat_anomalies AS anomaly
  FULL JOIN alerts AS alert
    ON alert.kafka_topic = anomaly.kafka_topic
   AND alert.kafka_partition = anomaly.kafka_partition
   AND alert.kafka_offset = anomaly.kafka_offset
 CROSS JOIN kept
 WHERE (alert.metric_name IS DISTINCT FROM 'alert_' || lower(anomaly.anomaly_type)
        OR alert.metric_value IS DISTINCT FROM anomaly.heart_rate)
   AND coalesce(anomaly.event_timestamp, alert.event_timestamp, 'infinity') >= kept.since
UNION ALL
SELECT kafka_topic, kafka_partition, kafka_offset, 'a reading of ' || heart_rate || ' bpm among the valid ones'
  FROM heartbeat_records
 WHERE heart_rate NOT BETWEEN 40 AND 180
 LIMIT 1000`

// Contradictions returns alerts and anomalies that do not belong together, and readings in the wrong table.
func (a *Audit) Contradictions(ctx context.Context) ([]Contradiction, error) {
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
