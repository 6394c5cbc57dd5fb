package alarmstore

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/alarm"
)

// acknowledgedSQL tells whether an acknowledgement is in force.
const acknowledgedSQL = `(acknowledged_at IS NOT NULL AND (acknowledged_until IS NULL OR acknowledged_until > @now))`

// List returns a page of alarms.
func (s *Store) List(ctx context.Context, query alarm.Query, now time.Time) (alarms []alarm.Alarm, err error) {
	list := listNewestFirst
	if query.Filter.WorstFirst() {
		list = listWorstFirst
	}
	// A page comes from one snapshot, however many statements it takes.
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) error {
		alarms, err = list(ctx, tx, query, now)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list alarms: %w", err)
	}
	return alarms, nil
}

// listNewestFirst goes down idx_alarms_raised.
func listNewestFirst(ctx context.Context, tx pgx.Tx, query alarm.Query, now time.Time) ([]alarm.Alarm, error) {
	where, args := conditions(query, now)
	if query.After != nil {
		where += ` AND (raised_at, alarm_id) < (@raised_at, @alarm_id)`
	}
	return selectAlarms(ctx, tx, where+`
 ORDER BY raised_at DESC, alarm_id DESC
 LIMIT @limit`, args)
}

// listWorstFirst reads the open alarms group by group, of one priority and acknowledged or not. Within a group, idx_alarms_worst has
// the order of the list, so a page costs as much as it shows.
func listWorstFirst(ctx context.Context, tx pgx.Tx, query alarm.Query, now time.Time) ([]alarm.Alarm, error) {
	where, args := conditions(query, now)
	alarms := []alarm.Alarm{}
	for group := range groupsFrom(query) {
		// BETWEEN and not =, for which the planner would also take another index with the order of raised_at, and read closed alarms.
		sql := where + ` AND closed_at IS NULL AND priority BETWEEN @group::alarm_priority AND @group::alarm_priority AND `
		if !group.Acknowledged {
			sql += `NOT `
		}
		sql += acknowledgedSQL
		if query.After != nil && *query.After == group {
			sql += ` AND raised_at >= @raised_at AND (raised_at, alarm_id) > (@raised_at, @alarm_id)`
		}
		args["group"], args["limit"] = group.Priority.String(), query.Limit-len(alarms)
		more, err := selectAlarms(ctx, tx, sql+`
 ORDER BY listed.priority DESC, raised_at, alarm_id -- not the text that is selected
 LIMIT @limit`, args)
		if err != nil {
			return nil, err
		}
		if alarms = append(alarms, more...); len(alarms) == query.Limit {
			break
		}
	}
	return alarms, nil
}

func selectAlarms(ctx context.Context, tx pgx.Tx, where string, args pgx.NamedArgs) ([]alarm.Alarm, error) {
	rows, err := tx.Query(ctx, `
SELECT`+alarmColumns+`
  FROM alarms AS listed
 WHERE `+where, args)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanAlarm)
}

// groupsFrom yields the groups of a list in its order, from the one in which a page begins. That one is the query's cursor itself.
func groupsFrom(query alarm.Query) iter.Seq[alarm.Cursor] {
	return func(yield func(alarm.Cursor) bool) {
		begun := query.After == nil
		for priority := alarm.High; priority >= alarm.Low; priority-- {
			for _, acknowledged := range [...]bool{false, true} {
				group := alarm.Cursor{Priority: priority, Acknowledged: acknowledged}
				if !begun && priority == query.After.Priority && acknowledged == query.After.Acknowledged {
					begun, group = true, *query.After
				}
				wanted := (query.Priority == 0 || priority == query.Priority) && !(query.Unacknowledged && acknowledged)
				if begun && wanted && !yield(group) {
					return
				}
			}
		}
	}
}

// conditions returns those conditions that a query has, so that the planner sees no others.
func conditions(query alarm.Query, now time.Time) (string, pgx.NamedArgs) {
	all := []string{"true"}
	args := pgx.NamedArgs{"now": now, "limit": query.Limit}
	add := func(wanted bool, sql, name string, value any) {
		if wanted {
			all = append(all, sql)
			args[name] = value
		}
	}
	switch query.Filter {
	case alarm.FilterActive:
		all = append(all, "active")
	case alarm.FilterLatched:
		all = append(all, "NOT active")
	case alarm.FilterClosed:
		all = append(all, "closed_at IS NOT NULL")
	}
	if query.Unacknowledged && !query.Filter.WorstFirst() {
		all = append(all, "NOT "+acknowledgedSQL)
	}
	add(query.Condition != "", "condition = @condition", "condition", string(query.Condition))
	add(query.Priority != 0 && !query.Filter.WorstFirst(), "priority = @priority::alarm_priority", "priority", query.Priority.String())
	add(query.Subject != "", "subject = @subject", "subject", query.Subject)
	add(query.Cohort != "", `subject IN (
        SELECT customer_id
          FROM (SELECT DISTINCT ON (customer_id) customer_id, cohort
                  FROM cohort_members
                 WHERE effective_from <= @now
                 ORDER BY customer_id, effective_from DESC) AS current
         WHERE cohort = @cohort)`, "cohort", query.Cohort)
	add(query.Person != "", `(assigned_to = @person OR EXISTS (
        SELECT 1 FROM alarm_events AS event WHERE event.alarm_id = listed.alarm_id AND event.actor = @person))`, "person", query.Person)
	add(!query.From.IsZero(), "raised_at >= @from", "from", query.From)
	add(!query.To.IsZero(), "raised_at < @to", "to", query.To)
	if query.After != nil {
		args["raised_at"], args["alarm_id"] = query.After.RaisedAt, query.After.ID
	}
	return strings.Join(all, " AND "), args
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
