package query

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// A transition's time is the earlier of the reading's own time and its Kafka timestamp, which the reading's own may be ten minutes
// ahead of. Readings older than what retention dropped cannot be looked up. Silence names the latest reading before it, which may have
// been late by any time: it is looked up only where retention has dropped nothing. Conditions of the fleet come from no reading.
const alarmContradictionsQuery = `
WITH kept AS (
    SELECT coalesce(max(up_to) FILTER (WHERE table_name IN ('heartbeat_records', 'heartbeat_anomalies')), '-infinity') AS since
      FROM retired_rows
), transition AS (
    SELECT e.*, a.subject, a.condition
      FROM alarm_events AS e
      JOIN alarms AS a USING (alarm_id)
     WHERE e.kafka_topic IS NOT NULL
)
SELECT '', 0, 0::bigint, count(*) || ' open alarms of ' || subject || ', ' || condition || ': one at most'
  FROM alarms
 WHERE closed_at IS NULL
 GROUP BY subject, condition
HAVING count(*) > 1
UNION ALL
SELECT coalesce(e.kafka_topic, ''), coalesce(e.kafka_partition, 0), coalesce(e.kafka_offset, 0), e.kind || ' of alarm ' || e.alarm_id || ', which does not exist'
  FROM alarm_events AS e
 WHERE NOT EXISTS (SELECT 1 FROM alarms AS a WHERE a.alarm_id = e.alarm_id)
UNION ALL
SELECT t.kafka_topic, t.kafka_partition, t.kafka_offset, t.kind || ' of alarm ' || t.alarm_id || ' by a reading that is not below next_offset'
  FROM transition AS t
  LEFT JOIN ingest_progress AS p ON p.kafka_topic = t.kafka_topic AND p.partition = t.kafka_partition
 WHERE t.kafka_offset >= coalesce(p.next_offset, 0)
UNION ALL
SELECT t.kafka_topic, t.kafka_partition, t.kafka_offset, t.kind || ' of alarm ' || t.alarm_id || ' by a reading that is not stored'
  FROM transition AS t, kept
 WHERE t.at >= kept.since AND t.kind IN ('raised', 'recurred', 'reopened') AND t.condition NOT IN ('silent', 'outage', 'lag')
   AND NOT EXISTS (
       SELECT 1 FROM heartbeat_records AS r
        WHERE r.customer_id = t.subject AND r.event_timestamp BETWEEN t.at AND t.at + interval '10 minutes'
          AND r.kafka_topic = t.kafka_topic AND r.kafka_partition = t.kafka_partition AND r.kafka_offset = t.kafka_offset)
   AND NOT EXISTS (
       SELECT 1 FROM heartbeat_anomalies AS r
        WHERE r.customer_id = t.subject AND r.event_timestamp BETWEEN t.at AND t.at + interval '10 minutes'
          AND r.kafka_topic = t.kafka_topic AND r.kafka_partition = t.kafka_partition AND r.kafka_offset = t.kafka_offset)
UNION ALL
SELECT t.kafka_topic, t.kafka_partition, t.kafka_offset, t.kind || ' of alarm ' || t.alarm_id || ' after a reading that is not stored'
  FROM transition AS t, kept
 WHERE kept.since = '-infinity' AND t.kind IN ('raised', 'recurred', 'reopened') AND t.condition = 'silent'
   AND NOT EXISTS (
       SELECT 1 FROM heartbeat_records AS r
        WHERE r.customer_id = t.subject AND r.kafka_topic = t.kafka_topic AND r.kafka_partition = t.kafka_partition AND r.kafka_offset = t.kafka_offset)
   AND NOT EXISTS (
       SELECT 1 FROM heartbeat_anomalies AS r
        WHERE r.customer_id = t.subject AND r.kafka_topic = t.kafka_topic AND r.kafka_partition = t.kafka_partition AND r.kafka_offset = t.kafka_offset)
 LIMIT 1000`

// AlarmContradictions returns alarms and events that contradict each other or the readings. alarmstore.CompareHistory folds the events.
func (a *AuditSnapshot) AlarmContradictions(ctx context.Context) ([]Contradiction, error) {
	rows, err := a.tx.Query(ctx, alarmContradictionsQuery)
	if err != nil {
		return nil, fmt.Errorf("compare alarms with their history: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Contradiction])
	if err != nil {
		return nil, fmt.Errorf("compare alarms with their history: %w", err)
	}
	return found, nil
}

// DeadLetterOffsets returns the offsets of a partition's dead letters in [from, to), in order, replayed ones included.
func (a *AuditSnapshot) DeadLetterOffsets(ctx context.Context, log string, partition int32, from, to int64) ([]int64, error) {
	return a.offsets(ctx, "dead_letters", log, partition, from, to)
}

// RepeatedOffsets returns the offsets in [from, to) of the records that a partition dropped as repeats, in order.
func (a *AuditSnapshot) RepeatedOffsets(ctx context.Context, log string, partition int32, from, to int64) ([]int64, error) {
	return a.offsets(ctx, "repeated_records", log, partition, from, to)
}

func (a *AuditSnapshot) offsets(ctx context.Context, table, log string, partition int32, from, to int64) ([]int64, error) {
	rows, err := a.tx.Query(ctx, `
SELECT kafka_offset
  FROM `+table+`
 WHERE kafka_topic = $1 AND kafka_partition = $2 AND kafka_offset >= $3 AND kafka_offset < $4
 ORDER BY kafka_offset`, log, partition, from, to)
	if err != nil {
		return nil, fmt.Errorf("read offsets of %s: %w", table, err)
	}
	offsets, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("read offsets of %s: %w", table, err)
	}
	return offsets, nil
}
