package alarmstore

import (
	"context"
	"fmt"
	"time"
)

// escalateSQL takes each alarm that is due to its next tier and inserts the event.
//
// Time without an answer runs from the latest event that calls people, by the database's clock: recorded_at of what a reading
// caused, whose own time may lie far behind, and at of what time caused. Both lookups of the history read its index (alarm_id, version)
// from the end, so a long history costs no more than a short one. The comparison of versions repeats the decision for an alarm
// that changed between the snapshot and its lock, so of two processes that run this at one moment one escalates. A locked alarm
// is left to the next call: nothing waits here, so a batch that waits for this statement cannot deadlock with it.
const escalateSQL = `
WITH due AS MATERIALIZED (
    SELECT a.alarm_id, a.version,
           CASE WHEN a.priority = 'high' THEN least(a.tier + 1, 2) ELSE 1 END::smallint AS tier
      FROM alarms AS a
     CROSS JOIN LATERAL (
           SELECT e.version
             FROM alarm_events AS e
            WHERE e.alarm_id = a.alarm_id
            ORDER BY e.version DESC LIMIT 1) AS latest
     CROSS JOIN LATERAL (
           SELECT CASE WHEN e.kafka_topic IS NULL THEN e.at ELSE e.recorded_at END AS since
             FROM alarm_events AS e
            WHERE e.alarm_id = a.alarm_id
              AND e.kind IN ('raised', 'recurred', 'reopened', 'worsened', 'acknowledgement_expired', 'snooze_ended', 'escalated')
            ORDER BY e.version DESC LIMIT 1) AS call
     WHERE a.closed_at IS NULL
       AND (a.priority = 'high' OR (a.priority = 'medium' AND a.tier = 0))
       AND a.acknowledged_at IS NULL AND a.snoozed_until IS NULL
       AND latest.version = a.version
       AND call.since + CASE WHEN a.priority = 'medium' THEN interval '10 minutes'
                                WHEN a.tier = 0 THEN interval '60 seconds'
                                WHEN a.tier = 1 THEN interval '120 seconds'
                                ELSE interval '5 minutes' END <= $1
     ORDER BY a.priority DESC, call.since
     LIMIT 1000
       FOR UPDATE OF a SKIP LOCKED
),
escalated AS (
    UPDATE alarms AS a
       SET version = due.version + 1, tier = due.tier
      FROM due
     WHERE a.alarm_id = due.alarm_id
    RETURNING a.alarm_id, a.version, a.tier)
INSERT INTO alarm_events (event_id, alarm_id, version, kind, at, tier)
SELECT gen_random_uuid(), alarm_id, version, 'escalated', $1, tier
  FROM escalated`

// Escalate moves alarms that have waited too long without an acknowledgement to their next tier and returns how many: high ones
// after 60 s to tier 1, after 180 s to tier 2 and again each 5 minutes, medium ones after 10 minutes to tier 1, low ones never. Any
// number of processes may call it: none escalates twice. Now is the database's clock, as Now returns it.
func (s *Store) Escalate(ctx context.Context, now time.Time) (int, error) {
	tag, err := s.pool.Exec(ctx, escalateSQL, now)
	if err != nil {
		return 0, fmt.Errorf("escalate alarms: %w", readOnly(err))
	}
	return int(tag.RowsAffected()), nil
}

// Now returns the database's clock.
func (s *Store) Now(ctx context.Context) (now time.Time, err error) {
	if err := s.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return now, fmt.Errorf("read the database's clock: %w", err)
	}
	return now.UTC(), nil
}
