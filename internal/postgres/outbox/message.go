package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"heartbeat/internal/notify"
)

// makeMessages plans each destination for which something new waits.
func (p *pass) makeMessages(ctx context.Context) error {
	rows, err := p.tx.Query(ctx, `SELECT DISTINCT destination FROM notification_queue WHERE delivery_id IS NULL ORDER BY destination`)
	if err != nil {
		return err
	}
	destinations, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, destination := range destinations {
		if err := p.plan(ctx, destination); err != nil {
			return fmt.Errorf("make messages for %s: %w", destination, err)
		}
	}
	return nil
}

// stormPlanEvery is the least time between two looks at what waits for a destination in a storm.
const stormPlanEvery = 5 * time.Second

func (p *pass) plan(ctx context.Context, destination string) error {
	before, disabled, plannedAt, err := p.sent(ctx, destination)
	if err != nil {
		return err
	}
	if before.Storm {
		// Thousands of items may wait: they are not read for nothing.
		if !before.Incidents && p.now.Before(before.DigestAt.Add(notify.DigestEvery)) || p.now.Before(plannedAt.Add(stormPlanEvery)) {
			return nil
		}
		if _, err := p.tx.Exec(ctx, `UPDATE notification_destinations SET planned_at = $2 WHERE name = $1`, destination, p.now); err != nil {
			return err
		}
	}
	if err := p.countAsTold(ctx, `destination = $1 AND state = 'pending' AND attempts > refused`, destination); err != nil {
		return err
	}
	pending, err := p.pending(ctx, destination)
	if err != nil {
		return err
	}
	planned := notify.Plan(before, pending, p.now)
	if err := p.withdraw(ctx, planned.Withdrawn); err != nil {
		return err
	}
	for i := range planned.Messages {
		if err := p.store(ctx, destination, &planned.Messages[i], disabled); err != nil {
			return err
		}
	}
	p.routed.Messages += len(planned.Messages)
	if len(planned.Done) > 0 {
		if _, err := p.tx.Exec(ctx, `DELETE FROM notification_queue WHERE item_id = ANY ($1)`, planned.Done); err != nil {
			return err
		}
	}
	after := planned.After
	if after.Storm == before.Storm && after.DigestAt.Equal(before.DigestAt) {
		return nil
	}
	_, err = p.tx.Exec(ctx, `
UPDATE notification_destinations SET storm = $2, digest_at = $3, incident = $4 WHERE name = $1`,
		destination, after.Storm, nullTime(after.DigestAt), after.StormIncident.ID)
	return err
}

// sent reads what a destination has been sent.
func (p *pass) sent(ctx context.Context, destination string) (sent notify.Sent, disabled bool, plannedAt time.Time, err error) {
	var incident *uuid.UUID
	err = p.tx.QueryRow(ctx, `
SELECT d.storm, coalesce(d.digest_at, '0001-01-01Z'), coalesce(d.planned_at, '0001-01-01Z'), d.incident, d.disabled_at IS NOT NULL, coalesce(made.raises, 0), coalesce(made.messages, 0)
  FROM notification_destinations AS d
 CROSS JOIN LATERAL (
       SELECT sum(raises) AS raises, count(*) FILTER (WHERE created_at > @minute) AS messages
         FROM deliveries
        WHERE destination = d.name AND created_at > @window AND state <> 'withdrawn') AS made
 WHERE d.name = @destination`, pgx.NamedArgs{
		"destination": destination, "minute": p.now.Add(-notify.RateWindow), "window": p.now.Add(-notify.StormWindow),
	}).Scan(&sent.Storm, &sent.DigestAt, &plannedAt, &incident, &disabled, &sent.Raises, &sent.Messages)
	if err != nil {
		return sent, false, plannedAt, err
	}
	sent.Incidents = p.router.Incidents(destination)
	if sent.StormIncident.ID = uuid.New(); sent.Storm && incident != nil {
		sent.StormIncident.ID = *incident
	}
	if sent.Storm && sent.Incidents {
		err = p.tx.QueryRow(ctx, `WITH `+incidentSQL+`
SELECT coalesce(max(open), 0), coalesce(max("left"), 0) FROM incident WHERE incident = @incident`, pgx.NamedArgs{
			"destination": destination, "now": p.now, "incident": sent.StormIncident.ID,
		}).Scan(&sent.StormIncident.Open, &sent.StormIncident.Left)
	}
	return sent, disabled, plannedAt, err
}

// incidentSQL counts the alarms of each incident of a storm: those that the destination was told of in it, and those in its messages.
const incidentSQL = `
incident AS MATERIALIZED (
    SELECT i.incident, count(*) AS open, count(*) FILTER (WHERE ` + unanswered + `) AS "left"
      FROM (SELECT alarm_id, incident FROM notification_told WHERE destination = @destination AND incident IS NOT NULL
             UNION
            SELECT q.alarm_id, d.incident
              FROM notification_queue AS q JOIN deliveries AS d USING (delivery_id)
             WHERE q.destination = @destination AND d.incident IS NOT NULL) AS i
      JOIN alarms AS a USING (alarm_id)
     WHERE a.closed_at IS NULL
     GROUP BY i.incident
)`

// pending reads what waits for a destination: in no message, or in one that no receiver has taken and that is not leased.
func (p *pass) pending(ctx context.Context, destination string) ([]notify.Item, error) {
	rows, err := p.tx.Query(ctx, `
WITH untaken AS MATERIALIZED (
    SELECT delivery_id
      FROM deliveries
     WHERE destination = @destination AND state = 'pending' AND refused = attempts AND (leased_until IS NULL OR leased_until <= @now)
       FOR UPDATE SKIP LOCKED
),`+incidentSQL+`
SELECT q.item_id, q.queued_at, q.kind, q.version, q.tier, q.at, q.undelivered_to, coalesce(untaken.delivery_id, @none),
       told.alarm_id IS NOT NULL, coalesce(told.incident, @none), coalesce(incident.open, 0), coalesce(incident."left", 0),`+alarmColumns+`
  FROM notification_queue AS q
  JOIN alarms AS a USING (alarm_id)
  LEFT JOIN untaken USING (delivery_id)
  LEFT JOIN notification_told AS told ON told.alarm_id = q.alarm_id AND told.destination = q.destination
  LEFT JOIN incident USING (incident)
 WHERE q.destination = @destination AND (q.delivery_id IS NULL OR untaken.delivery_id IS NOT NULL)
 ORDER BY q.item_id`, pgx.NamedArgs{"destination": destination, "now": p.now, "none": uuid.Nil})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (item notify.Item, err error) {
		return item, row.Scan(append([]any{
			&item.ID, &item.QueuedAt, &item.Kind, &item.Event.Version, &item.Tier, &item.At, &item.UndeliveredTo, &item.Message,
			&item.Told, &item.Incident.ID, &item.Incident.Open, &item.Incident.Left,
		}, targets(&item.Alarm)...)...)
	})
}

// store inserts a message. One for a destination that is disabled is listed as dead.
func (p *pass) store(ctx context.Context, destination string, message *notify.Message, disabled bool) error {
	message.ID = uuid.New()
	body, err := p.encoder.Encode(destination, message)
	if err != nil {
		return err
	}
	alarms := make([]uuid.UUID, len(message.Entries))
	for i := range message.Entries {
		alarms[i] = message.Entries[i].Alarm.ID
	}
	_, err = p.tx.Exec(ctx, `
INSERT INTO deliveries (delivery_id, destination, type, priority, alarm_ids, raises, calls, incident, body, created_at, next_attempt_at, state, ended_at, error)
VALUES (@id, @destination, @type, @priority::text::alarm_priority, @alarms, @raises, @calls, nullif(@incident::uuid, @none::uuid), @body, @now, @now,
        CASE WHEN @disabled THEN 'dead' ELSE 'pending' END, CASE WHEN @disabled THEN @now::timestamptz END,
        CASE WHEN @disabled THEN 'the destination is disabled' ELSE '' END)`, pgx.NamedArgs{
		"id": message.ID, "destination": destination, "type": string(message.Type), "priority": message.Priority.String(), "alarms": alarms,
		"raises": message.Raises, "calls": message.Calls(), "incident": message.Incident.ID, "none": uuid.Nil, "body": body, "now": p.now, "disabled": disabled,
	})
	if err != nil {
		return err
	}
	_, err = p.tx.Exec(ctx, `UPDATE notification_queue SET delivery_id = $1 WHERE item_id = ANY ($2)`, message.ID, message.Items)
	return err
}

func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
