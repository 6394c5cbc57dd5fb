package alarmstore

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"heartbeat/internal/alarm"
)

const dueSQL = `
SELECT` + alarmColumns + `
  FROM alarms
 WHERE closed_at IS NULL AND (active AND acknowledged_until <= $1 OR snoozed_until <= $1)
 ORDER BY least(acknowledged_until, snoozed_until)
 LIMIT 1000`

// Expire ends the acknowledgements and snoozes whose time is over and returns how many. Any number of processes may call it: an
// alarm that changed meanwhile is left to the next call.
func (s *Store) Expire(ctx context.Context, now time.Time) (count int, err error) {
	now = now.UTC().Truncate(time.Microsecond)
	rows, err := s.pool.Query(ctx, dueSQL, now)
	if err != nil {
		return 0, fmt.Errorf("find what is over: %w", err)
	}
	due, err := pgx.CollectRows(rows, scanAlarm)
	if err != nil {
		return 0, fmt.Errorf("find what is over: %w", err)
	}
	for _, held := range due {
		for _, kind := range held.Due(now) {
			event := alarm.Event{ID: uuid.New(), Alarm: held.ID, Version: held.Version + 1, Kind: kind, At: now}
			after, err := alarm.Fold(held, event)
			if err != nil {
				return count, fmt.Errorf("end of acknowledgement or snooze: %w", err)
			}
			stored, err := s.store(ctx, &after, &event)
			if err != nil {
				return count, err
			}
			if !stored {
				break
			}
			held = after
			count++
		}
	}
	return count, nil
}
