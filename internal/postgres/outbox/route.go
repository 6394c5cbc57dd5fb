package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/alarm"
	"heartbeat/internal/notify"
)

// Store is the outbox in a database. The pool stays the caller's to close.
type Store struct{ pool *pgxpool.Pool }

// New returns a Store on a pool.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// Encoder makes the bytes of a message for a destination.
type Encoder interface {
	Encode(destination string, message *notify.Message) ([]byte, error)
}

const (
	// maxEvents bounds the events of one pass.
	maxEvents = 20_000
	// maxAge is the age from which an event calls no one: a notifier that starts after a week must not send the week.
	maxAge = 24 * time.Hour
)

// Routed counts what a pass has done.
type Routed struct {
	Events   int // marked as routed
	Messages int // made
	Passed   int // events that were too old to be reported
}

// Route queues the events that are not routed yet for their destinations, turns what has waited long enough into messages, and marks
// the events, all in one transaction. It does nothing while another process routes.
func (s *Store) Route(ctx context.Context, router *notify.Router, encoder Encoder, now time.Time) (routed Routed, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		free := false
		// The name makes it the lock of this schema.
		if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtextextended('heartbeat outbox ' || current_schema(), 0))`).Scan(&free); err != nil || !free {
			return err
		}
		pass := pass{tx: tx, router: router, encoder: encoder, now: now, routed: &routed}
		if err := pass.queue(ctx); err != nil {
			return err
		}
		return pass.makeMessages(ctx)
	})
	if err != nil {
		return Routed{}, fmt.Errorf("route events: %w", err)
	}
	return routed, nil
}

type pass struct {
	tx      pgx.Tx
	router  *notify.Router
	encoder Encoder
	now     time.Time
	routed  *Routed
}

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
func targets(a *notify.Alarm, priority *string) []any {
	return []any{
		&a.ID, &a.Version, &a.Subject, &a.Condition, priority, &a.Cohort, &a.Open, &a.Acknowledged, &a.Snoozed,
		&a.Since, &a.ClearedAt, &a.Value, &a.Peak, &a.Limit,
	}
}

type unrouted struct {
	id       uuid.UUID
	recorded time.Time
	notify.Event
}

// queue marks new events and puts them before their destinations.
func (p *pass) queue(ctx context.Context) error {
	rows, err := p.tx.Query(ctx, `
SELECT e.event_id, e.recorded_at, e.kind, e.version, coalesce(e.tier, 0), e.at,`+alarmColumns+`
  FROM alarm_events AS e
  JOIN alarms AS a USING (alarm_id)
 WHERE e.routed_at IS NULL
 ORDER BY e.recorded_at, e.alarm_id, e.version
 LIMIT @limit`, pgx.NamedArgs{"now": p.now, "limit": maxEvents})
	if err != nil {
		return err
	}
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e unrouted, err error) {
		priority := ""
		err = row.Scan(append([]any{&e.id, &e.recorded, &e.Kind, &e.Event.Version, &e.Tier, &e.At}, targets(&e.Alarm, &priority)...)...)
		if err == nil {
			e.Alarm.Priority, err = alarm.ParsePriority(priority)
		}
		return e, err
	})
	if err != nil || len(events) == 0 {
		return err
	}
	if err := p.insert(ctx, events); err != nil {
		return err
	}
	ids := make([]uuid.UUID, len(events))
	for i := range events {
		ids[i] = events[i].id
	}
	_, err = p.tx.Exec(ctx, `UPDATE alarm_events SET routed_at = $1 WHERE event_id = ANY ($2) AND routed_at IS NULL`, p.now, ids)
	p.routed.Events = len(events)
	return err
}

// queueSQL inserts events for the destinations that the router chose. An event without a destination reports that nothing is left
// to do: it goes to whoever was called about the alarm or is about to be.
const queueSQL = `
INSERT INTO notification_queue (destination, event_id, alarm_id, version, kind, tier, at, queued_at)
SELECT d.name, e.event_id, e.alarm_id, e.version, e.kind, e.tier, e.at, @now
  FROM unnest(@destinations::text[], @events::uuid[], @alarms::uuid[], @versions::bigint[], @kinds::text[], @tiers::smallint[], @ats::timestamptz[])
       AS e (destination, event_id, alarm_id, version, kind, tier, at)
 CROSS JOIN LATERAL (
       SELECT e.destination AS name WHERE e.destination <> ''
        UNION
       SELECT destination FROM notification_told AS told WHERE e.destination = '' AND told.alarm_id = e.alarm_id
        UNION
       SELECT destination FROM notification_queue AS waiting WHERE e.destination = '' AND waiting.alarm_id = e.alarm_id) AS d
    ON CONFLICT (destination, event_id) DO NOTHING`

// insert queues calls first: an end in the same pass must find them.
func (p *pass) insert(ctx context.Context, events []unrouted) error {
	for _, calling := range [...]bool{true, false} {
		var destinations, kinds []string
		var ids, alarms []uuid.UUID
		var versions []int64
		var tiers []int16
		var ats []time.Time
		for i := range events {
			e := &events[i]
			if p.now.Sub(e.recorded) > maxAge {
				if calling {
					p.routed.Passed++
				}
				continue
			}
			names, calls := p.router.Route(&e.Event, p.now)
			if calls != calling || !notify.Reports(&e.Event) {
				continue
			}
			if !calls {
				names = []string{""}
			}
			for _, name := range names {
				destinations, kinds = append(destinations, name), append(kinds, string(e.Kind))
				ids, alarms, versions = append(ids, e.id), append(alarms, e.Alarm.ID), append(versions, e.Event.Version)
				tiers, ats = append(tiers, e.Tier), append(ats, e.At)
			}
		}
		if len(ids) == 0 {
			continue
		}
		_, err := p.tx.Exec(ctx, queueSQL, pgx.NamedArgs{
			"now": p.now, "destinations": destinations, "events": ids, "alarms": alarms, "versions": versions, "kinds": kinds, "tiers": tiers, "ats": ats,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
