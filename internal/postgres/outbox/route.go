package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

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
	// maxAge is the age from which an event calls no one: a notifier that starts after a week must not send the week. Whoever was
	// called is told of the end at any age.
	maxAge = 24 * time.Hour
)

// Routed counts what a pass has done.
type Routed struct {
	Events     int  // marked as routed
	Messages   int  // made
	Passed     int  // calls that were too old to be reported
	FailedOver int  // alarms of which the next tier was told, because a destination could not be reached
	Busy       bool // another process is routing: nothing was done, and whether that one succeeds is not known
}

// Route queues the events that are not routed yet for their destinations, turns what has waited long enough into messages, and marks
// the events, all in one transaction. It does nothing while another process routes.
func (s *Store) Route(ctx context.Context, router *notify.Router, encoder Encoder, now time.Time) (routed Routed, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		free := false
		// The name makes it the lock of this schema.
		if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtextextended('heartbeat outbox ' || current_schema(), 0))`).Scan(&free); err != nil || !free {
			routed.Busy = err == nil
			return err
		}
		pass := pass{tx: tx, router: router, encoder: encoder, now: now, routed: &routed}
		for _, step := range [...]func(context.Context) error{pass.queue, pass.withdrawAnswered, pass.makeMessages, pass.failOver} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
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

type unrouted struct {
	id            uuid.UUID
	recorded      time.Time
	undeliveredTo string
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
		return e, row.Scan(append([]any{&e.id, &e.recorded, &e.Kind, &e.Event.Version, &e.Tier, &e.At}, targets(&e.Alarm)...)...)
	})
	if err != nil || len(events) == 0 {
		return err
	}
	if err := p.insert(ctx, events); err != nil {
		return err
	}
	ids, alarms := make([]uuid.UUID, len(events)), make([]uuid.UUID, len(events))
	for i := range events {
		ids[i], alarms[i] = events[i].id, events[i].Alarm.ID
	}
	p.routed.Events = len(events)
	if _, err := p.tx.Exec(ctx, `
UPDATE notification_states AS s SET version = a.version FROM alarms AS a WHERE a.alarm_id = s.alarm_id AND s.alarm_id = ANY ($1)`, alarms); err != nil {
		return err
	}
	_, err = p.tx.Exec(ctx, `UPDATE alarm_events SET routed_at = $1 WHERE event_id = ANY ($2) AND routed_at IS NULL`, p.now, ids)
	return err
}

// queueSQL inserts events for the destinations that the router chose. An event without a destination reports that nothing is left
// to do: it goes to whoever was called about the alarm or is about to be.
const queueSQL = `
INSERT INTO notification_queue (destination, event_id, alarm_id, version, kind, tier, at, undelivered_to, queued_at)
SELECT d.name, e.event_id, e.alarm_id, e.version, e.kind, e.tier, e.at, e.undelivered_to, @now
  FROM unnest(@destinations::text[], @events::uuid[], @alarms::uuid[], @versions::bigint[], @kinds::text[], @tiers::smallint[], @ats::timestamptz[],
              @undelivered::text[])
       AS e (destination, event_id, alarm_id, version, kind, tier, at, undelivered_to)
 CROSS JOIN LATERAL (
       SELECT e.destination AS name WHERE e.destination <> ''
        UNION
       SELECT destination FROM notification_told AS told WHERE e.destination = '' AND told.alarm_id = e.alarm_id
        UNION
       SELECT destination FROM notification_queue AS waiting WHERE e.destination = '' AND waiting.alarm_id = e.alarm_id) AS d
    ON CONFLICT (destination, event_id) DO NOTHING`

// insert queues calls first: an end in the same pass must find them. A destination that keeps states gets no events.
func (p *pass) insert(ctx context.Context, events []unrouted) error {
	for _, calling := range [...]bool{true, false} {
		var queued, states batch
		for i := range events {
			e := &events[i]
			names, calls := p.router.Route(&e.Event, p.now)
			switch {
			case calls != calling || !notify.Reports(&e.Event):
				continue
			case calls && p.now.Sub(e.recorded) > maxAge:
				p.routed.Passed++
				continue
			case !calls:
				names = []string{""}
			}
			for _, name := range names {
				if p.router.KeepsState(name) {
					states.add(name, e)
				} else {
					queued.add(name, e)
				}
			}
		}
		if err := errors.Join(p.exec(ctx, queueSQL, &queued), p.exec(ctx, stateSQL, &states)); err != nil {
			return err
		}
	}
	return nil
}

// stateSQL begins to keep the state of alarms, or begins again.
const stateSQL = `
INSERT INTO notification_states AS s (destination, alarm_id, cohort, routed_at, version)
SELECT DISTINCT ON (destination, alarm_id) destination, alarm_id, cohort, @now::timestamptz, version
  FROM unnest(@destinations::text[], @alarms::uuid[], @cohorts::text[], @versions::bigint[]) AS e (destination, alarm_id, cohort, version)
 ORDER BY destination, alarm_id, version DESC
    ON CONFLICT (destination, alarm_id) DO UPDATE SET version = EXCLUDED.version, ended_at = NULL`

// batch is events with their destinations, as columns.
type batch struct {
	destinations, kinds, cohorts, undelivered []string
	ids, alarms                               []uuid.UUID
	versions                                  []int64
	tiers                                     []int16
	ats                                       []time.Time
}

func (b *batch) add(destination string, e *unrouted) {
	b.destinations, b.kinds = append(b.destinations, destination), append(b.kinds, string(e.Kind))
	b.cohorts, b.undelivered = append(b.cohorts, e.Alarm.Cohort), append(b.undelivered, e.undeliveredTo)
	b.ids, b.alarms, b.versions = append(b.ids, e.id), append(b.alarms, e.Alarm.ID), append(b.versions, e.Event.Version)
	b.tiers, b.ats = append(b.tiers, e.Tier), append(b.ats, e.At)
}

func (p *pass) exec(ctx context.Context, sql string, b *batch) error {
	if len(b.ids) == 0 {
		return nil
	}
	if _, err := p.tx.Exec(ctx, `
INSERT INTO notification_destinations (name) SELECT DISTINCT name FROM unnest($1::text[]) AS name WHERE name <> '' ON CONFLICT (name) DO NOTHING`,
		b.destinations); err != nil {
		return err
	}
	_, err := p.tx.Exec(ctx, sql, pgx.NamedArgs{
		"now": p.now, "destinations": b.destinations, "events": b.ids, "alarms": b.alarms, "versions": b.versions, "kinds": b.kinds,
		"tiers": b.tiers, "ats": b.ats, "cohorts": b.cohorts, "undelivered": b.undelivered,
	})
	return err
}
