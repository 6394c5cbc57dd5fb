package outbox

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"heartbeat/internal/notify"
)

// withdrawAnswered withdraws calls whose alarms have all been answered: they must not be tried again. Their events wait for what is told
// next, the acknowledgement for example. One of unknown outcome may have been taken, so the destination counts as told.
func (p *pass) withdrawAnswered(ctx context.Context) error {
	rows, err := p.tx.Query(ctx, `
SELECT d.delivery_id
  FROM deliveries AS d
 WHERE d.state = 'pending' AND d.calls AND (d.leased_until IS NULL OR d.leased_until <= @now)
   AND NOT EXISTS (SELECT FROM alarms AS a WHERE a.alarm_id = ANY (d.alarm_ids) AND `+unanswered+`)
   FOR UPDATE SKIP LOCKED`, pgx.NamedArgs{"now": p.now})
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil || len(ids) == 0 {
		return err
	}
	if err := p.countAsTold(ctx, `delivery_id = ANY ($1) AND attempts > refused`, ids); err != nil {
		return err
	}
	return p.withdraw(ctx, ids)
}

// withdraw ends messages that no receiver has taken, or that no receiver needs. Their events wait again.
func (p *pass) withdraw(ctx context.Context, ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	if _, err := p.tx.Exec(ctx, `
UPDATE deliveries SET state = 'withdrawn', ended_at = $2, leased_until = NULL, leased_by = NULL WHERE delivery_id = ANY ($1)`, ids, p.now); err != nil {
		return err
	}
	_, err := p.tx.Exec(ctx, `UPDATE notification_queue SET delivery_id = NULL WHERE delivery_id = ANY ($1)`, ids)
	return err
}

// countAsTold notes who was told, or may have been, of the alarms of some deliveries.
func (p *pass) countAsTold(ctx context.Context, where string, args ...any) error {
	_, err := p.tx.Exec(ctx, `
INSERT INTO notification_told (alarm_id, destination, incident)
SELECT DISTINCT ON (alarm_id, destination) alarm_id, destination, incident
  FROM deliveries, unnest(alarm_ids) AS alarm_id
 WHERE `+where+`
 ORDER BY alarm_id, destination, sequence
    ON CONFLICT DO NOTHING`, args...)
	return err
}

// failOverAfter is how long a call of high priority may fail until the next tier is told.
const failOverAfter = "60 seconds"

// failOver tells the next tier of alarms whose call does not arrive, once for each call, and forgets the events of dead messages. A dead
// message that may have been taken counts as told, so that the end follows. It runs after messages were made: what is in none and old by
// then has no place among those of a minute. In a storm it waits for its digest.
func (p *pass) failOver(ctx context.Context) error {
	rows, err := p.tx.Query(ctx, `
SELECT q.destination, coalesce(max(q.tier) FILTER (WHERE q.kind = @undelivered), 0),`+alarmColumns+`
  FROM notification_queue AS q
  JOIN notification_destinations AS n ON n.name = q.destination
  JOIN alarms AS a ON a.alarm_id = q.alarm_id
  LEFT JOIN deliveries AS d USING (delivery_id)
 WHERE NOT q.failed_over AND a.priority = 'high' AND `+unanswered+`
   AND CASE WHEN q.delivery_id IS NULL
            THEN NOT n.storm AND q.kind NOT IN ('acknowledged', 'cleared', 'closed') AND q.queued_at <= @now::timestamptz - @wait::interval
            ELSE d.calls AND (d.state = 'dead' OR d.created_at <= @now::timestamptz - @wait::interval
                 OR (d.attempts > 0 AND d.leased_until IS NULL AND q.queued_at <= @now::timestamptz - @wait::interval)) END
 GROUP BY q.destination, a.alarm_id
 UNION ALL
SELECT s.destination, 0,`+alarmColumns+`
  FROM notification_states AS s
  JOIN alarms AS a USING (alarm_id)
 WHERE s.posted IS NULL AND NOT s.failed_over AND a.priority = 'high' AND `+unanswered+`
   AND s.routed_at <= @now::timestamptz - @wait::interval`, pgx.NamedArgs{"now": p.now, "wait": failOverAfter, "undelivered": string(notify.Undelivered)})
	if err != nil {
		return err
	}
	failed, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e unrouted, err error) {
		return e, row.Scan(append([]any{&e.undeliveredTo, &e.Tier}, targets(&e.Alarm)...)...)
	})
	if err != nil {
		return err
	}
	if err := p.tellNextTier(ctx, failed); err != nil {
		return err
	}
	rows, err = p.tx.Query(ctx, `
DELETE FROM notification_queue AS q USING deliveries AS d WHERE d.delivery_id = q.delivery_id AND d.state = 'dead' RETURNING d.delivery_id`)
	if err != nil {
		return err
	}
	dead, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil || len(dead) == 0 {
		return err
	}
	return p.countAsTold(ctx, `delivery_id = ANY ($1) AND attempts > refused`, dead)
}

func (p *pass) tellNextTier(ctx context.Context, failed []unrouted) error {
	if len(failed) == 0 {
		return nil
	}
	var queued, states batch
	var destinations []string
	var alarms []uuid.UUID
	for i := range failed {
		e := &failed[i]
		destinations, alarms = append(destinations, e.undeliveredTo), append(alarms, e.Alarm.ID)
		e.Kind, e.Event.Version, e.At = notify.Undelivered, e.Alarm.Version, p.now
		names, tier := p.router.Next(e.undeliveredTo, &e.Event, p.now)
		e.Tier = tier
		for _, name := range names {
			e.id = uuid.New()
			if p.router.KeepsState(name) {
				states.add(name, e)
			} else {
				queued.add(name, e)
			}
			p.routed.FailedOver++
		}
	}
	for _, sql := range [...]string{
		`UPDATE notification_queue AS q SET failed_over = true FROM unnest($1::text[], $2::uuid[]) AS f (destination, alarm_id)
          WHERE q.destination = f.destination AND q.alarm_id = f.alarm_id AND (q.delivery_id IS NOT NULL OR q.queued_at <= $3::timestamptz - $4::interval)`,
		`UPDATE notification_states AS s SET failed_over = true FROM unnest($1::text[], $2::uuid[]) AS f (destination, alarm_id)
          WHERE s.destination = f.destination AND s.alarm_id = f.alarm_id AND s.routed_at <= $3::timestamptz - $4::interval`,
	} {
		if _, err := p.tx.Exec(ctx, sql, destinations, alarms, p.now, failOverAfter); err != nil {
			return err
		}
	}
	if err := p.exec(ctx, queueSQL, &queued); err != nil {
		return err
	}
	return p.exec(ctx, stateSQL, &states)
}
