package alarmstore

import (
	"time"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/alarm"
)

const alarmColumns = `
alarm_id, version, subject, condition, priority::text, current_priority::text, active, stale, raised_at, active_since, onset_at,
cleared_at, closed_at, closed_by, recurrences, value, peak, "limit", detail,
acknowledged_by, acknowledged_at, acknowledged_until, seen_at, snoozed_by, snoozed_until, assigned_to, note, tier,
kafka_topic, kafka_partition, kafka_offset, episode_first_offset, episode_last_offset`

func scanAlarm(row pgx.CollectableRow) (alarm.Alarm, error) {
	var a alarm.Alarm
	var priority, current string
	var cleared, closed, acknowledged, until, seen, snoozed *time.Time
	var closedBy, acknowledgedBy, snoozedBy *string
	var value, peak, limit *int32
	var last *int64
	err := row.Scan(&a.ID, &a.Version, &a.Subject, &a.Condition, &priority, &current, &a.Active, &a.Stale, &a.RaisedAt, &a.ActiveSince, &a.OnsetAt,
		&cleared, &closed, &closedBy, &a.Recurrences, &value, &peak, &limit, &a.Detail,
		&acknowledgedBy, &acknowledged, &until, &seen, &snoozedBy, &snoozed, &a.AssignedTo, &a.Note, &a.Tier,
		&a.Log, &a.Partition, &a.Offset, &a.EpisodeFirstOffset, &last)
	if err != nil {
		return a, err
	}
	if a.Priority, err = alarm.ParsePriority(priority); err != nil {
		return a, err
	}
	if a.CurrentPriority, err = alarm.ParsePriority(current); err != nil {
		return a, err
	}
	a.RaisedAt, a.ActiveSince, a.OnsetAt = a.RaisedAt.UTC(), a.ActiveSince.UTC(), a.OnsetAt.UTC()
	a.ClearedAt, a.ClosedAt, a.ClosedBy = utc(cleared), utc(closed), value0(closedBy)
	a.Value, a.Peak, a.Limit = value0(value), value0(peak), value0(limit)
	a.AcknowledgedBy, a.AcknowledgedAt, a.AcknowledgedUntil, a.SeenAt = value0(acknowledgedBy), utc(acknowledged), utc(until), utc(seen)
	a.SnoozedBy, a.SnoozedUntil = value0(snoozedBy), utc(snoozed)
	a.EpisodeLastOffset = -1
	if last != nil {
		a.EpisodeLastOffset = *last
	}
	return a, nil
}

const eventColumns = `
event_id, alarm_id, version, kind, at, recorded_at, actor, priority::text, since, value, peak, "limit", detail, until, assignee, tier, note,
kafka_topic, kafka_partition, kafka_offset`

func scanEvent(row pgx.CollectableRow) (alarm.Event, error) {
	var e alarm.Event
	var actor, priority, assignee, log *string
	var since, until *time.Time
	var value, peak, limit, partition *int32
	var tier *int16
	var offset *int64
	err := row.Scan(&e.ID, &e.Alarm, &e.Version, &e.Kind, &e.At, &e.RecordedAt, &actor, &priority, &since, &value, &peak, &limit, &e.Detail, &until,
		&assignee, &tier, &e.Note, &log, &partition, &offset)
	if err != nil {
		return e, err
	}
	if priority != nil {
		if e.Priority, err = alarm.ParsePriority(*priority); err != nil {
			return e, err
		}
	}
	if log != nil {
		e.Position = &alarm.Position{Log: *log, Partition: value0(partition), Offset: value0(offset)}
	}
	e.At, e.RecordedAt, e.Since, e.Until = e.At.UTC(), e.RecordedAt.UTC(), utc(since), utc(until)
	e.Actor, e.Assignee, e.Tier = value0(actor), value0(assignee), value0(tier)
	e.Value, e.Peak, e.Limit = value0(value), value0(peak), value0(limit)
	return e, nil
}

func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// value0 returns what a nullable column holds, the zero value for NULL.
func value0[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

// null returns NULL for the zero value.
func null[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// nullTime returns NULL for the zero time.
func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
