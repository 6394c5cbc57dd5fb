package alarmstore

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"

	"heartbeat/internal/alarm"
)

// ApplyStatement is the name of the statement that applies transitions.
const ApplyStatement = "apply_alarms"

// applySQL applies at most one transition of each (subject, condition) and inserts its event: alarm.Fold in SQL.
//
// A transition belongs to the open alarm of its subject and condition. Without one, a raise that reopens belongs to the alarm
// cleared last, and any other raise to a new alarm; other transitions have no effect. Neither has one that lies before the
// alarm's latest in the log: it was without effect when it was applied the first time. The alarm is chosen first and locked then:
// while this statement waits for the lock an operator may close a latched alarm, which a plain raise then leaves alone.
//
// Every partition may raise a condition of the fleet: while its alarm is active, another raise has no effect.
//
// The rows are locked in the order of subject and condition, so that two writers cannot deadlock. All values are absolute and the
// event's id is derived from the transition, so applying a transition again changes nothing.
const applySQL = `
WITH transition AS MATERIALIZED (
    SELECT *, kind IN ('raised', 'reopened') AS opens
      FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[]::alarm_priority[], $9::timestamptz[],
                  $10::timestamptz[], $11::integer[], $12::integer[], $13::integer[], $14::text[], $15::bigint[])
        AS given (event_id, new_id, subject, condition, kind, priority, at, since, value, peak, bound, detail, kafka_offset)
     WHERE NOT EXISTS (SELECT 1 FROM alarm_events AS known WHERE known.event_id = given.event_id)
     ORDER BY subject, condition
),
target AS MATERIALIZED (
    SELECT t.event_id, t.new_id, t.subject, t.condition, t.kind, t.priority, t.at, t.since, t.opens, t.kafka_offset, t.detail,
           nullif(t.value, 0) AS value, nullif(t.peak, 0) AS peak, nullif(t.bound, 0) AS bound,
           held AS held, held.alarm_id IS NOT NULL AS known,
           t.kind = 'worsened' OR (t.opens AND t.priority > held.priority) AS worse
      FROM transition AS t
      LEFT JOIN LATERAL (
           SELECT candidate.*
             FROM alarms AS candidate
            WHERE candidate.alarm_id = coalesce(
                      (SELECT open.alarm_id FROM alarms AS open
                        WHERE open.subject = t.subject AND open.condition = t.condition AND open.closed_at IS NULL),
                      (SELECT past.alarm_id FROM alarms AS past
                        WHERE t.kind = 'reopened' AND past.subject = t.subject AND past.condition = t.condition AND past.cleared_at IS NOT NULL
                        ORDER BY past.cleared_at DESC LIMIT 1))
              AND (candidate.closed_at IS NULL OR t.kind = 'reopened')
              FOR UPDATE) AS held ON true
     WHERE (t.opens OR held.active)
       AND (t.condition IN ('outage', 'lag') AND t.opens AND held.active) IS NOT TRUE
       AND (held.kafka_topic = $1::text AND held.kafka_partition = $2::integer AND held.kafka_offset > t.kafka_offset) IS NOT TRUE
),
next AS MATERIALIZED (
    SELECT event_id, kind, at, since, kafka_offset, opens, value, peak, bound, detail, priority, subject, condition, held, worse,
           coalesce((held).alarm_id, new_id) AS alarm_id,
           coalesce((held).version, 0) + 1 AS version,
           CASE WHEN NOT opens THEN kind WHEN NOT known THEN 'raised' WHEN (held).closed_at IS NULL THEN 'recurred' ELSE 'reopened' END AS event_kind,
           worse OR (opens AND (held).closed_at IS NOT NULL) AS unacknowledge,
           opens AND NOT coalesce((held).active, false) AS begins,
           CASE WHEN opens OR kind = 'worsened' THEN greatest((held).priority, priority) ELSE (held).priority END AS next_priority
      FROM target
),
stored AS (
    INSERT INTO alarms AS stored (
           alarm_id, version, subject, condition, priority, current_priority,
           active, stale, raised_at, active_since, onset_at,
           cleared_at, closed_at, closed_by,
           recurrences, value, peak, "limit", detail,
           acknowledged_by, acknowledged_at, acknowledged_until, seen_at,
           snoozed_by, snoozed_until, assigned_to, note, tier,
           kafka_topic, kafka_partition, kafka_offset, episode_first_offset, episode_last_offset)
    SELECT alarm_id, version, subject, condition, next_priority,
           CASE WHEN opens OR kind = 'worsened' THEN priority WHEN kind = 'eased' THEN least(priority, (held).priority) ELSE (held).current_priority END,
           kind <> 'cleared', kind = 'stale',
           coalesce((held).raised_at, at),
           CASE WHEN begins THEN at ELSE (held).active_since END,
           CASE WHEN begins THEN since ELSE (held).onset_at END,
           CASE WHEN kind = 'cleared' THEN at END,
           CASE WHEN kind = 'cleared' AND ((held).priority < 'high' OR (held).seen_at IS NOT NULL) THEN at END,
           NULL,
           CASE WHEN version = 1 THEN 0 ELSE (held).recurrences + opens::integer END,
           coalesce(value, (held).value),
           CASE condition WHEN 'rate_low' THEN least((held).peak, peak) ELSE greatest((held).peak, peak) END,
           coalesce(bound, (held)."limit"),
           coalesce(nullif(detail, ''), (held).detail, ''),
           CASE WHEN unacknowledge THEN NULL ELSE (held).acknowledged_by END,
           CASE WHEN unacknowledge THEN NULL ELSE (held).acknowledged_at END,
           CASE WHEN unacknowledge THEN NULL ELSE (held).acknowledged_until END,
           CASE WHEN unacknowledge THEN NULL ELSE (held).seen_at END,
           CASE WHEN worse THEN NULL ELSE (held).snoozed_by END,
           CASE WHEN worse THEN NULL ELSE (held).snoozed_until END,
           coalesce((held).assigned_to, ''), coalesce((held).note, ''),
           CASE WHEN opens OR kind = 'worsened' THEN 0 ELSE (held).tier END,
           $1::text, $2::integer, kafka_offset,
           CASE WHEN begins THEN kafka_offset ELSE (held).episode_first_offset END,
           CASE WHEN kind = 'cleared' THEN kafka_offset END
      FROM next
        ON CONFLICT (alarm_id) DO UPDATE
       SET version = EXCLUDED.version, priority = EXCLUDED.priority, current_priority = EXCLUDED.current_priority,
           active = EXCLUDED.active, stale = EXCLUDED.stale, active_since = EXCLUDED.active_since, onset_at = EXCLUDED.onset_at,
           cleared_at = EXCLUDED.cleared_at, closed_at = EXCLUDED.closed_at, closed_by = EXCLUDED.closed_by,
           recurrences = EXCLUDED.recurrences, value = EXCLUDED.value, peak = EXCLUDED.peak, "limit" = EXCLUDED."limit", detail = EXCLUDED.detail,
           acknowledged_by = EXCLUDED.acknowledged_by, acknowledged_at = EXCLUDED.acknowledged_at,
           acknowledged_until = EXCLUDED.acknowledged_until, seen_at = EXCLUDED.seen_at,
           snoozed_by = EXCLUDED.snoozed_by, snoozed_until = EXCLUDED.snoozed_until, tier = EXCLUDED.tier,
           kafka_topic = EXCLUDED.kafka_topic, kafka_partition = EXCLUDED.kafka_partition, kafka_offset = EXCLUDED.kafka_offset,
           episode_first_offset = EXCLUDED.episode_first_offset, episode_last_offset = EXCLUDED.episode_last_offset
)
INSERT INTO alarm_events (event_id, alarm_id, version, kind, at, priority, since, value, peak, "limit", detail, kafka_topic, kafka_partition, kafka_offset)
SELECT event_id, alarm_id, version, event_kind, at, priority, since, value, peak, bound, detail, $1::text, $2::integer, kafka_offset
  FROM next`

// applyParameters encodes a round of transitions of a partition.
func applyParameters(log string, partition int32, round []alarm.Transition) ([][]byte, error) {
	n := len(round)
	var (
		events, alarms                               = make([][16]byte, n), make([][16]byte, n)
		subjects, conditions, kinds                  = make([]string, n), make([]string, n), make([]string, n)
		priorities                                   = make([]pgtype.Text, n)
		ats, sinces                                  = make([]pgtype.Timestamptz, n), make([]pgtype.Timestamptz, n)
		values, peaks, limits, details, kafkaOffsets = make([]int32, n), make([]int32, n), make([]int32, n), make([]string, n), make([]int64, n)
	)
	for i := range round {
		t := &round[i]
		events[i], alarms[i] = t.EventID(log, partition), t.Alarm
		subjects[i], conditions[i], kinds[i] = t.Subject, string(t.Condition), string(t.Kind)
		priorities[i] = pgtype.Text{String: t.Priority.String(), Valid: t.Priority != 0}
		ats[i] = pgtype.Timestamptz{Time: t.At, Valid: true}
		sinces[i] = pgtype.Timestamptz{Time: t.Since, Valid: !t.Since.IsZero()}
		values[i], peaks[i], limits[i], details[i], kafkaOffsets[i] = t.Value, t.Peak, t.Limit, t.Detail, t.Offset
	}
	types := pgtype.NewMap()
	parameters := make([][]byte, 0, 15)
	for _, p := range [...]struct {
		oid   uint32
		value any
	}{
		{pgtype.TextOID, log}, {pgtype.Int4OID, partition},
		{pgtype.UUIDArrayOID, events}, {pgtype.UUIDArrayOID, alarms},
		{pgtype.TextArrayOID, subjects}, {pgtype.TextArrayOID, conditions}, {pgtype.TextArrayOID, kinds}, {pgtype.TextArrayOID, priorities},
		{pgtype.TimestamptzArrayOID, ats}, {pgtype.TimestamptzArrayOID, sinces},
		{pgtype.Int4ArrayOID, values}, {pgtype.Int4ArrayOID, peaks}, {pgtype.Int4ArrayOID, limits}, {pgtype.TextArrayOID, details},
		{pgtype.Int8ArrayOID, kafkaOffsets},
	} {
		encoded, err := types.Encode(p.oid, pgtype.BinaryFormatCode, p.value, nil)
		if err != nil {
			return nil, fmt.Errorf("encode transitions: %w", err)
		}
		parameters = append(parameters, encoded)
	}
	return parameters, nil
}
