package outbox

import (
	"github.com/jackc/pgx/v5/pgtype"

	"heartbeat/internal/alarm"
	"heartbeat/internal/notify"
)

// unanswered holds for an alarm a that calls somebody: it is open, and neither acknowledged nor snoozed.
const unanswered = `(a.closed_at IS NULL
 AND NOT (a.acknowledged_at IS NOT NULL AND (a.acknowledged_until IS NULL OR a.acknowledged_until > @now))
 AND NOT (a.snoozed_until IS NOT NULL AND a.snoozed_until > @now))`

const alarmColumns = `
a.alarm_id, a.version, a.subject, a.condition, a.priority::text,
coalesce((SELECT m.cohort FROM cohort_members AS m
           WHERE m.customer_id = a.subject AND m.effective_from <= @now
           ORDER BY m.effective_from DESC LIMIT 1), ''),
a.closed_at IS NULL,
a.acknowledged_at IS NOT NULL AND (a.acknowledged_until IS NULL OR a.acknowledged_until > @now),
a.snoozed_until IS NOT NULL AND a.snoozed_until > @now,
a.active_since, coalesce(a.cleared_at, '0001-01-01Z'), coalesce(a.value, 0), coalesce(a.peak, 0), coalesce(a."limit", 0)`

// targets returns where to scan alarmColumns to.
func targets(a *notify.Alarm) []any {
	return []any{
		&a.ID, &a.Version, &a.Subject, &a.Condition, (*priority)(&a.Priority), &a.Cohort, &a.Open, &a.Acknowledged, &a.Snoozed,
		&a.Since, &a.ClearedAt, &a.Value, &a.Peak, &a.Limit,
	}
}

// priority scans the name of one.
type priority alarm.Priority

// ScanText makes a priority a pgtype.TextScanner.
func (p *priority) ScanText(text pgtype.Text) error {
	parsed, err := alarm.ParsePriority(text.String)
	*p = priority(parsed)
	return err
}
