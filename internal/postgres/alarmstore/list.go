package alarmstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/alarm"
)

// listSQL selects the alarms of a query. The two orders need a condition each for where a page begins.
const listSQL = `
SELECT` + alarmColumns + `
  FROM (SELECT *,
               CASE priority WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END AS rank,
               acknowledged_at IS NOT NULL AND (acknowledged_until IS NULL OR acknowledged_until > @now) AS acknowledged
          FROM alarms) AS listed
 WHERE (@filter = 'all' OR (closed_at IS NULL) = (@filter <> 'closed'))
   AND (@filter NOT IN ('active', 'latched') OR active = (@filter = 'active'))
   AND NOT (@unacknowledged AND acknowledged)
   AND (@condition = '' OR condition = @condition)
   AND (@priority = '' OR priority::text = @priority)
   AND (@subject = '' OR subject = @subject)
   AND (@cohort = '' OR subject IN (
        SELECT customer_id
          FROM (SELECT DISTINCT ON (customer_id) customer_id, cohort
                  FROM cohort_members
                 WHERE effective_from <= @now
                 ORDER BY customer_id, effective_from DESC) AS current
         WHERE cohort = @cohort))
   AND (@person = '' OR assigned_to = @person OR EXISTS (
        SELECT 1 FROM alarm_events AS event WHERE event.alarm_id = listed.alarm_id AND event.actor = @person))
   AND raised_at >= coalesce(@from, '-infinity'::timestamptz) AND raised_at < coalesce(@to, 'infinity'::timestamptz)`

const (
	// Only open alarms are listed worst first. Said in a form that the index of open alarms fits, so that the closed ones are not read.
	worstFirstSQL = `
   AND closed_at IS NULL
   AND (@first OR (rank, acknowledged, raised_at, alarm_id) > (@rank::integer, @acknowledged::boolean, @raised_at::timestamptz, @alarm_id::uuid))
 ORDER BY rank, acknowledged, raised_at, alarm_id
 LIMIT @limit`
	newestFirstSQL = `
   AND (@first OR (raised_at, alarm_id) < (@raised_at::timestamptz, @alarm_id::uuid))
 ORDER BY raised_at DESC, alarm_id DESC
 LIMIT @limit`
)

// List returns a page of alarms.
func (s *Store) List(ctx context.Context, query alarm.Query, now time.Time) ([]alarm.Alarm, error) {
	args := pgx.StrictNamedArgs{
		"now": now, "filter": string(query.Filter), "unacknowledged": query.Unacknowledged,
		"condition": string(query.Condition), "priority": query.Priority.String(), "subject": query.Subject, "cohort": query.Cohort, "person": query.Person,
		"from": nullTime(query.From), "to": nullTime(query.To), "first": query.After == nil, "limit": query.Limit,
	}
	after := alarm.Cursor{}
	if query.After != nil {
		after = *query.After
	}
	args["raised_at"], args["alarm_id"] = after.RaisedAt, after.ID
	sql := listSQL + newestFirstSQL
	if query.Filter.WorstFirst() {
		sql = listSQL + worstFirstSQL
		args["rank"], args["acknowledged"] = int(alarm.High-after.Priority), after.Acknowledged
	}
	rows, err := s.pool.Query(ctx, sql, args)
	if err != nil {
		return nil, fmt.Errorf("list alarms: %w", err)
	}
	alarms, err := pgx.CollectRows(rows, scanAlarm)
	if err != nil {
		return nil, fmt.Errorf("list alarms: %w", err)
	}
	return alarms, nil
}

// Counts returns how many alarms are open, by condition and priority.
func (s *Store) Counts(ctx context.Context, now time.Time) ([]alarm.Count, error) {
	rows, err := s.pool.Query(ctx, `
SELECT condition, priority::text, count(*), count(*) FILTER (WHERE NOT acknowledged), min(raised_at) FILTER (WHERE NOT acknowledged)
  FROM (SELECT *, acknowledged_at IS NOT NULL AND (acknowledged_until IS NULL OR acknowledged_until > $1) AS acknowledged
          FROM alarms
         WHERE closed_at IS NULL) AS open
 GROUP BY condition, open.priority
 ORDER BY open.priority DESC, condition`, now)
	if err != nil {
		return nil, fmt.Errorf("count open alarms: %w", err)
	}
	counts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (alarm.Count, error) {
		var c alarm.Count
		var priority string
		var oldest *time.Time
		if err := row.Scan(&c.Condition, &priority, &c.Open, &c.Unacknowledged, &oldest); err != nil {
			return c, err
		}
		c.OldestUnacknowledged = utc(oldest)
		var err error
		c.Priority, err = alarm.ParsePriority(priority)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("count open alarms: %w", err)
	}
	return counts, nil
}

// DropClosed drops alarms that were closed before a time, with their history, and returns how many. It drops some thousands at a
// time, so that no statement takes long.
func (s *Store) DropClosed(ctx context.Context, before time.Time) (dropped int64, err error) {
	for {
		var some int64
		if err := s.pool.QueryRow(ctx, `SELECT drop_closed_alarms($1)`, before).Scan(&some); err != nil {
			return dropped, fmt.Errorf("drop closed alarms: %w", err)
		}
		if some == 0 {
			return dropped, nil
		}
		dropped += some
	}
}
