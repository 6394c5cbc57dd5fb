package alarmstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/alarm"
)

// OpenVersions returns the versions of the open alarms, at most limit, the worst first, and how many are open.
func (s *Store) OpenVersions(ctx context.Context, limit int) (versions map[alarm.ID]int64, total int, err error) {
	rows, err := s.pool.Query(ctx, `
SELECT alarm_id, version, count(*) OVER ()
  FROM alarms
 WHERE closed_at IS NULL
 ORDER BY priority DESC, raised_at, alarm_id
 LIMIT $1`, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("read versions of open alarms: %w", err)
	}
	versions = map[alarm.ID]int64{}
	var id alarm.ID
	var version int64
	_, err = pgx.ForEachRow(rows, []any{&id, &version, &total}, func() error {
		versions[id] = version
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read versions of open alarms: %w", err)
	}
	return versions, total, nil
}

// Alarms returns the alarms of these ids that exist, in no order.
func (s *Store) Alarms(ctx context.Context, ids []alarm.ID) ([]alarm.Alarm, error) {
	rows, err := s.pool.Query(ctx, `SELECT`+alarmColumns+` FROM alarms WHERE alarm_id = ANY ($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("read alarms: %w", err)
	}
	alarms, err := pgx.CollectRows(rows, scanAlarm)
	if err != nil {
		return nil, fmt.Errorf("read alarms: %w", err)
	}
	return alarms, nil
}
