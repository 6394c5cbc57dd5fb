package alarmstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/alarm"
)

// The join gives eventColumns without a qualifier.
const eventsOfLogSQL = `
SELECT` + eventColumns + `, subject, condition
  FROM alarm_events
  JOIN (SELECT alarm_id, subject, condition FROM alarms) AS alarm USING (alarm_id)
 WHERE kafka_topic = $1 AND kafka_partition = $2 AND kafka_offset >= $3 AND kafka_offset < $4
 ORDER BY kafka_offset, alarm_id, version`

// Events is a part of the history in the order of a log, with subject and condition. It must be closed.
type Events struct {
	rows pgx.Rows
	err  error
}

// EventsOfLog returns the events that readings of a partition caused, in [from, to).
func EventsOfLog(ctx context.Context, tx pgx.Tx, log string, partition int32, from, to int64) (*Events, error) {
	rows, err := tx.Query(ctx, eventsOfLogSQL, log, partition, from, to)
	if err != nil {
		return nil, fmt.Errorf("read history of a log: %w", err)
	}
	return &Events{rows: rows}, nil
}

// Next returns the next event, false after the last one and after an error, which Close returns.
func (e *Events) Next() (alarm.Event, bool) {
	if e.err != nil || !e.rows.Next() {
		return alarm.Event{}, false
	}
	event, err := scanEventWithSubject(e.rows)
	e.err = err
	return event, err == nil
}

// Close ends the reading.
func (e *Events) Close() error {
	e.rows.Close()
	if err := errors.Join(e.err, e.rows.Err()); err != nil {
		return fmt.Errorf("read history of a log: %w", err)
	}
	return nil
}

const eventsUntilSQL = `
SELECT` + eventColumns + `, subject, condition
  FROM alarm_events
  JOIN (SELECT alarm_id, subject, condition FROM alarms) AS alarm USING (alarm_id)
 WHERE kafka_topic IS NOT NULL AND at < $1
 ORDER BY subject, condition, at, version`

// EventsUntil returns the events that readings caused before a time, by subject and condition, each in the order of time.
func EventsUntil(ctx context.Context, tx pgx.Tx, until time.Time) (*Events, error) {
	rows, err := tx.Query(ctx, eventsUntilSQL, until)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return &Events{rows: rows}, nil
}

const eventsBeforeSQL = `
SELECT * FROM (
    SELECT DISTINCT ON (subject, condition)` + eventColumns + `, subject, condition
      FROM alarm_events
      JOIN (SELECT alarm_id, subject, condition FROM alarms) AS alarm USING (alarm_id)
     WHERE kafka_topic IS NOT NULL AND kind NOT IN ('stale', 'fresh') AND NOT (kafka_topic = $1 AND kafka_partition = $2 AND kafka_offset >= $3)
     ORDER BY subject, condition, at DESC, version DESC) AS latest`

// LatestBefore returns the latest event of each subject and condition among those that no reading of the partition at or above
// an offset caused.
func LatestBefore(ctx context.Context, tx pgx.Tx, log string, partition int32, offset int64) ([]alarm.Event, error) {
	rows, err := tx.Query(ctx, eventsBeforeSQL, log, partition, offset)
	if err != nil {
		return nil, fmt.Errorf("read latest events: %w", err)
	}
	events, err := pgx.CollectRows(rows, scanEventWithSubject)
	if err != nil {
		return nil, fmt.Errorf("read latest events: %w", err)
	}
	return events, nil
}

func scanEventWithSubject(row pgx.CollectableRow) (alarm.Event, error) {
	var subject string
	var condition alarm.Condition
	event, err := scanEvent(withColumns{row, []any{&subject, &condition}})
	event.Subject, event.Condition = subject, condition
	return event, err
}

// withColumns is a row with more columns than its scan function knows.
type withColumns struct {
	pgx.CollectableRow
	more []any
}

func (r withColumns) Scan(columns ...any) error {
	return r.CollectableRow.Scan(append(columns, r.more...)...)
}
