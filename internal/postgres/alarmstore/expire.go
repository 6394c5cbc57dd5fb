package alarmstore

import (
	"context"
	"fmt"
	"time"
)

const (
	anythingOverSQL = `
SELECT EXISTS (SELECT FROM alarms WHERE closed_at IS NULL AND (active AND acknowledged_until <= $1 OR snoozed_until <= $1))`

	endAcknowledgementsSQL = `
WITH due AS MATERIALIZED (
    SELECT alarm_id
      FROM alarms
     WHERE active AND acknowledged_until <= $1
     ORDER BY acknowledged_until
     LIMIT 1000
       FOR UPDATE SKIP LOCKED
),
ended AS (
    UPDATE alarms AS a
       SET version = a.version + 1, acknowledged_by = NULL, acknowledged_at = NULL, acknowledged_until = NULL, tier = 0
      FROM due
     WHERE a.alarm_id = due.alarm_id
    RETURNING a.alarm_id, a.version)
INSERT INTO alarm_events (event_id, alarm_id, version, kind, at)
SELECT gen_random_uuid(), alarm_id, version, 'acknowledgement_expired', $1
  FROM ended`

	endSnoozesSQL = `
WITH due AS MATERIALIZED (
    SELECT alarm_id
      FROM alarms
     WHERE closed_at IS NULL AND snoozed_until <= $1
     ORDER BY snoozed_until
     LIMIT 1000
       FOR UPDATE SKIP LOCKED
),
ended AS (
    UPDATE alarms AS a
       SET version = a.version + 1, snoozed_by = NULL, snoozed_until = NULL, tier = 0
      FROM due
     WHERE a.alarm_id = due.alarm_id
    RETURNING a.alarm_id, a.version)
INSERT INTO alarm_events (event_id, alarm_id, version, kind, at)
SELECT gen_random_uuid(), alarm_id, version, 'snooze_ended', $1
  FROM ended`
)

// Expire records that acknowledgements and snoozes have ended, so that people are called again, and returns how many. Only notifiers
// call it: without a notifier there is no call to make, and readers of an alarm compare its columns with the time. Each statement is a
// transaction of its own and skips locked rows, so any number of processes may call it, and none ends the same one twice. Now is the
// database's clock, as Now returns it.
func (s *Store) Expire(ctx context.Context, now time.Time) (count int, err error) {
	now = now.UTC().Truncate(time.Microsecond)
	over := false
	if err := s.pool.QueryRow(ctx, anythingOverSQL, now).Scan(&over); err != nil {
		return 0, fmt.Errorf("find what is over: %w", err)
	}
	if !over {
		return 0, nil
	}
	for _, sql := range [...]string{endAcknowledgementsSQL, endSnoozesSQL} {
		tag, err := s.pool.Exec(ctx, sql, now)
		if err != nil {
			return count, fmt.Errorf("end acknowledgements and snoozes: %w", readOnly(err))
		}
		count += int(tag.RowsAffected())
	}
	return count, nil
}
