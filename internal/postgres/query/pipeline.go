package query

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/progress"
	"heartbeat/internal/readmodel"
)

// Progress returns what is stored of every partition.
func (d *Dashboard) Progress(ctx context.Context) ([]progress.Stored, error) {
	return ListProgress(ctx, d.pool)
}

const incidentsQuery = `
SELECT incident_id, kind, kafka_topic, partition, from_offset, to_offset, detail, recorded_at
  FROM data_incidents
 ORDER BY incident_id DESC
 LIMIT @limit`

// Incidents returns the newest data incidents, newest first.
func (d *Dashboard) Incidents(ctx context.Context, limit int) ([]readmodel.Incident, error) {
	rows, err := d.pool.Query(ctx, incidentsQuery, pgx.NamedArgs{"limit": limit})
	return collect[readmodel.Incident](rows, err, "read data incidents")
}

// Bounds are read out of their printed form: the catalog has no other.
const tablesQuery = `
SELECT parent.relname::text, part.relname::text,
       (regexp_match(bound, 'FROM \(''([^'']+)''\)'))[1]::timestamptz AS begins,
       (regexp_match(bound, 'TO \(''([^'']+)''\)'))[1]::timestamptz,
       greatest(part.reltuples, 0)::bigint,
       pg_total_relation_size(part.oid)
  FROM pg_inherits
  JOIN pg_class parent ON parent.oid = inhparent
  JOIN pg_class part ON part.oid = inhrelid
 CROSS JOIN LATERAL pg_get_expr(part.relpartbound, part.oid) AS bound
 WHERE parent.oid IN ('heartbeat_records'::regclass, 'heartbeat_anomalies'::regclass, 'pipeline_metrics'::regclass)
 ORDER BY parent.relname DESC, begins DESC NULLS LAST, part.relname DESC
 LIMIT @limit`

// Tables returns the partitions of the tables, newest first.
func (d *Dashboard) Tables(ctx context.Context, limit int) ([]readmodel.Table, error) {
	rows, err := d.pool.Query(ctx, tablesQuery, pgx.NamedArgs{"limit": limit})
	return collect[readmodel.Table](rows, err, "read table partitions")
}

const deadLetterColumns = `
SELECT dead_letter_id, kafka_topic, kafka_partition, kafka_offset, kafka_timestamp, reason, detail, customer_id,
       raw_length, recorded_at, replayed_at`

const deadLettersQuery = deadLetterColumns + `
  FROM dead_letters
 WHERE (@before::bigint = 0 OR dead_letter_id < @before)
   AND (@reason = '' OR reason = @reason)
   AND (NOT @pending OR replayed_at IS NULL)
 ORDER BY dead_letter_id DESC
 LIMIT @limit`

// DeadLetters returns a page of dead letters, newest first.
func (d *Dashboard) DeadLetters(ctx context.Context, query readmodel.DeadLetterQuery) ([]readmodel.DeadLetter, error) {
	rows, err := d.pool.Query(ctx, deadLettersQuery, pgx.NamedArgs{
		"before": query.Before, "reason": query.Reason, "pending": query.Pending, "limit": query.Limit,
	})
	return collect[readmodel.DeadLetter](rows, err, "read dead letters")
}

// Reasons counts the dead letters by reason, most frequent first.
func (d *Dashboard) Reasons(ctx context.Context) ([]readmodel.ReasonCount, error) {
	rows, err := d.pool.Query(ctx, `
SELECT reason, count(*), count(*) FILTER (WHERE replayed_at IS NULL)
  FROM dead_letters
 GROUP BY reason
 ORDER BY count(*) DESC, reason`)
	return collect[readmodel.ReasonCount](rows, err, "count dead letters")
}

// DeadLetter returns one dead letter with its bytes, or readmodel.ErrNotFound.
func (d *Dashboard) DeadLetter(ctx context.Context, id int64) (readmodel.RawDeadLetter, error) {
	rows, err := d.pool.Query(ctx, deadLetterColumns+`, raw_key, raw_value, raw_sha256
  FROM dead_letters
 WHERE dead_letter_id = @id`, pgx.NamedArgs{"id": id})
	if err != nil {
		return readmodel.RawDeadLetter{}, fmt.Errorf("read dead letter: %w", err)
	}
	type row struct {
		readmodel.DeadLetter
		Key, Value, SHA256 []byte
	}
	found, err := collectOne[row](rows, err, "read dead letter")
	return readmodel.RawDeadLetter{
		DeadLetter: found.DeadLetter, Key: found.Key, Value: found.Value, SHA256: hex.EncodeToString(found.SHA256),
	}, err
}
