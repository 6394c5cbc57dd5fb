package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"heartbeat/internal/alarm"
	"heartbeat/internal/notify"
)

// makeMessages plans each destination for which something waits.
func (p *pass) makeMessages(ctx context.Context) error {
	rows, err := p.tx.Query(ctx, `SELECT DISTINCT destination FROM notification_queue ORDER BY destination`)
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

func (p *pass) plan(ctx context.Context, destination string) error {
	before, disabled, err := p.state(ctx, destination)
	if err != nil {
		return err
	}
	if before.Storm && p.now.Before(before.DigestAt.Add(notify.DigestEvery)) {
		return nil // thousands of items may wait: they are not read for nothing
	}
	pending, err := p.pending(ctx, destination)
	if err != nil {
		return err
	}
	messages, done, after := notify.Plan(before, pending, p.now)
	for i := range messages {
		if err := p.store(ctx, destination, &messages[i], disabled); err != nil {
			return err
		}
		done = append(done, messages[i].Items...)
	}
	p.routed.Messages += len(messages)
	if len(done) > 0 {
		if _, err := p.tx.Exec(ctx, `DELETE FROM notification_queue WHERE item_id = ANY ($1)`, done); err != nil {
			return err
		}
	}
	if after.Storm == before.Storm && after.DigestAt.Equal(before.DigestAt) {
		return nil
	}
	_, err = p.tx.Exec(ctx, `
UPDATE notification_destinations SET storm = $2, digest_at = $3 WHERE name = $1`, destination, after.Storm, nullTime(after.DigestAt))
	return err
}

// state reads what a destination has been sent, and makes its row where there is none.
func (p *pass) state(ctx context.Context, destination string) (state notify.State, disabled bool, err error) {
	if _, err = p.tx.Exec(ctx, `INSERT INTO notification_destinations (name) VALUES ($1) ON CONFLICT (name) DO NOTHING`, destination); err != nil {
		return state, false, err
	}
	err = p.tx.QueryRow(ctx, `
SELECT d.storm, coalesce(d.digest_at, '0001-01-01Z'), d.disabled_at IS NOT NULL, coalesce(made.raises, 0), coalesce(made.messages, 0)
  FROM notification_destinations AS d
 CROSS JOIN LATERAL (
       SELECT sum(raises) AS raises, count(*) FILTER (WHERE created_at > @minute) AS messages
         FROM deliveries
        WHERE destination = d.name AND created_at > @window) AS made
 WHERE d.name = @destination`, pgx.NamedArgs{
		"destination": destination, "minute": p.now.Add(-notify.RateWindow), "window": p.now.Add(-notify.StormWindow),
	}).Scan(&state.Storm, &state.DigestAt, &disabled, &state.Raises, &state.Messages)
	return state, disabled, err
}

func (p *pass) pending(ctx context.Context, destination string) ([]notify.Item, error) {
	rows, err := p.tx.Query(ctx, `
SELECT q.item_id, q.queued_at, q.kind, q.version, q.tier, q.at,
       EXISTS (SELECT FROM notification_told AS told WHERE told.alarm_id = q.alarm_id AND told.destination = q.destination),`+alarmColumns+`
  FROM notification_queue AS q
  JOIN alarms AS a USING (alarm_id)
 WHERE q.destination = @destination
 ORDER BY q.item_id`, pgx.NamedArgs{"destination": destination, "now": p.now})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (item notify.Item, err error) {
		priority := ""
		err = row.Scan(append([]any{&item.ID, &item.QueuedAt, &item.Kind, &item.Event.Version, &item.Tier, &item.At, &item.Told},
			targets(&item.Alarm, &priority)...)...)
		if err == nil {
			item.Alarm.Priority, err = alarm.ParsePriority(priority)
		}
		return item, err
	})
}

// store inserts a message. One for a destination that is disabled is listed as dead.
func (p *pass) store(ctx context.Context, destination string, message *notify.Message, disabled bool) error {
	body, err := p.encoder.Encode(destination, message)
	if err != nil {
		return err
	}
	alarms := make([]uuid.UUID, len(message.Entries))
	for i := range message.Entries {
		alarms[i] = message.Entries[i].Alarm.ID
	}
	_, err = p.tx.Exec(ctx, `
INSERT INTO deliveries (delivery_id, destination, type, priority, alarm_ids, raises, body, created_at, next_attempt_at, state, ended_at, error)
VALUES (gen_random_uuid(), @destination, @type, @priority::text::alarm_priority, @alarms, @raises, @body, @now, @now,
        CASE WHEN @disabled THEN 'dead' ELSE 'pending' END, CASE WHEN @disabled THEN @now::timestamptz END,
        CASE WHEN @disabled THEN 'the destination is disabled' ELSE '' END)`, pgx.NamedArgs{
		"destination": destination, "type": string(message.Type), "priority": message.Priority.String(), "alarms": alarms,
		"raises": message.Raises, "body": body, "now": p.now, "disabled": disabled,
	})
	if err != nil {
		return err
	}
	_, err = p.tx.Exec(ctx, `
INSERT INTO notification_told (alarm_id, destination) SELECT unnest($1::uuid[]), $2 ON CONFLICT DO NOTHING`, alarms, destination)
	return err
}

func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
