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

// Lease is how long a message belongs to the process that sends it.
const Lease = 45 * time.Second

// Delivery is a message that this process may send until its lease ends.
type Delivery struct {
	ID        uuid.UUID
	Body      []byte
	Priority  alarm.Priority
	Attempts  int // with the one to come
	CreatedAt time.Time
}

// leaseSQL leases what is due. A message waits for earlier ones about the same alarm or incident, so "cleared" never comes before
// "raised", and a digest for earlier digests, whose alarms are too many to compare. A call is not sent once its alarms are answered,
// also if the event of the answer is not routed yet. A destination that has asked for a pause is sent nothing meanwhile.
const leaseSQL = `
UPDATE deliveries AS d
   SET leased_until = @now::timestamptz + @lease::interval, leased_by = @owner, attempts = d.attempts + 1
 WHERE d.delivery_id IN (
       SELECT next.delivery_id
         FROM deliveries AS next
        WHERE next.destination = @destination AND next.state = 'pending' AND next.next_attempt_at <= @now
          AND (next.leased_until IS NULL OR next.leased_until <= @now)
          AND NOT EXISTS (
              SELECT FROM notification_destinations AS d
               WHERE d.name = next.destination AND (d.disabled_at IS NOT NULL OR d.not_before > @now))
          AND NOT EXISTS (
              SELECT FROM deliveries AS earlier
               WHERE earlier.destination = next.destination AND earlier.state = 'pending' AND earlier.sequence < next.sequence
                 AND CASE WHEN earlier.type = 'digest' AND next.type = 'digest' OR earlier.incident = next.incident THEN true
                      ELSE earlier.alarm_ids && next.alarm_ids END)
          AND (NOT next.calls OR EXISTS (SELECT FROM alarms AS a WHERE a.alarm_id = ANY (next.alarm_ids) AND ` + unanswered + `))
        ORDER BY next.priority DESC, next.sequence
        LIMIT @limit
          FOR UPDATE SKIP LOCKED)
RETURNING d.delivery_id, d.body, d.priority::text, d.attempts, d.created_at`

// Lease returns messages to a destination whose time has come, at most limit.
func (s *Store) Lease(ctx context.Context, destination, owner string, limit int, now time.Time) ([]Delivery, error) {
	rows, err := s.pool.Query(ctx, leaseSQL, pgx.NamedArgs{
		"destination": destination, "owner": owner, "limit": limit, "now": now, "lease": Lease,
	})
	if err != nil {
		return nil, fmt.Errorf("lease messages: %w", err)
	}
	deliveries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Delivery, err error) {
		return d, row.Scan(&d.ID, &d.Body, (*priority)(&d.Priority), &d.Attempts, &d.CreatedAt)
	})
	if err != nil {
		return nil, fmt.Errorf("lease messages: %w", err)
	}
	return deliveries, nil
}

// Attempt is how an attempt ended.
type Attempt struct {
	Code       int
	RetryAfter time.Duration
	Gone       bool   // the destination wants no more messages
	Rejected   bool   // the destination will never take this message
	Untaken    bool   // the destination has certainly not taken the message
	Error      string // empty: the destination has taken the message
}

// finishSQL names the lease that the attempt was made under: a process that was suspended beyond its lease changes nothing.
const finishSQL = `
UPDATE deliveries
   SET state = @state, ended_at = CASE WHEN @state = 'pending' THEN NULL ELSE @now::timestamptz END, next_attempt_at = @next,
       leased_until = NULL, leased_by = NULL, code = nullif(@code::integer, 0), error = @error, refused = refused + @untaken::boolean::integer
 WHERE delivery_id = @id AND state = 'pending' AND leased_by = @owner AND attempts = @attempts`

// pauseSQL holds all messages to a destination back.
const pauseSQL = `
INSERT INTO notification_destinations AS d (name, not_before) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET not_before = greatest(d.not_before, EXCLUDED.not_before)`

// endSQL queues the end of alarms for a destination that is told of them only now, because its message was given up and is sent again:
// the end went to whoever had been told, so this destination would wait for it. A message that was not given up has its events in the
// queue, and the end waits there as well.
const endSQL = `
INSERT INTO notification_queue (destination, event_id, alarm_id, version, kind, tier, at, queued_at)
SELECT d.destination, e.event_id, a.alarm_id, e.version, e.kind, 0, e.at, $2
  FROM deliveries AS d
 CROSS JOIN unnest(d.alarm_ids) AS sent (alarm_id)
  JOIN alarms AS a ON a.alarm_id = sent.alarm_id AND a.closed_at IS NOT NULL
 CROSS JOIN LATERAL (
       SELECT event_id, version, kind, at, routed_at
         FROM alarm_events
        WHERE alarm_id = a.alarm_id AND kind IN ('cleared', 'closed', 'acknowledged')
        ORDER BY version DESC LIMIT 1) AS e
 WHERE d.delivery_id = $1 AND d.type NOT IN ('cleared', 'acknowledged') AND e.routed_at IS NOT NULL
   AND NOT EXISTS (SELECT FROM notification_queue AS q WHERE q.delivery_id = d.delivery_id)
   AND NOT EXISTS (SELECT FROM notification_told AS told WHERE told.alarm_id = a.alarm_id AND told.destination = d.destination)
    ON CONFLICT (destination, event_id) DO NOTHING`

// takenSQL notes who was told of what, and forgets the events.
const takenSQL = `
WITH told AS (
    INSERT INTO notification_told (alarm_id, destination, incident)
    SELECT DISTINCT alarm_id, destination, incident FROM deliveries, unnest(alarm_ids) AS alarm_id WHERE delivery_id = $1
        ON CONFLICT DO NOTHING)
DELETE FROM notification_queue WHERE delivery_id = $1`

// Finish records how an attempt ended: sent, to be sent again, or dead.
func (s *Store) Finish(ctx context.Context, destination, owner string, delivery *Delivery, attempt Attempt, now time.Time) error {
	state, next := "sent", now
	if attempt.Error != "" {
		delay, again := notify.RetryDelay(delivery.Priority, delivery.Attempts, now.Sub(delivery.CreatedAt))
		state, next = "pending", now.Add(max(delay, attempt.RetryAfter))
		if !again || attempt.Gone || attempt.Rejected {
			state = "dead"
		}
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, finishSQL, pgx.NamedArgs{
			"id": delivery.ID, "owner": owner, "attempts": delivery.Attempts, "state": state, "now": now, "next": next,
			"code": attempt.Code, "error": attempt.Error, "untaken": attempt.Untaken,
		})
		if err != nil {
			return err
		}
		if state == "sent" && tag.RowsAffected() > 0 {
			if _, err := tx.Exec(ctx, endSQL, delivery.ID, now); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, takenSQL, delivery.ID); err != nil {
				return err
			}
		}
		switch {
		case attempt.Gone:
			return disable(ctx, tx, destination, attempt.Error, now)
		case attempt.Error != "" && attempt.RetryAfter > 0:
			_, err = tx.Exec(ctx, pauseSQL, destination, now.Add(attempt.RetryAfter))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("record attempt: %w", err)
	}
	return nil
}

// disable ends all that waits for a destination which is gone. Messages that another process is sending keep their lease.
func disable(ctx context.Context, tx pgx.Tx, destination, reason string, now time.Time) error {
	if _, err := tx.Exec(ctx, `
INSERT INTO notification_destinations AS d (name, disabled_at, disabled_reason) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO UPDATE SET disabled_at = coalesce(d.disabled_at, EXCLUDED.disabled_at), disabled_reason = EXCLUDED.disabled_reason`,
		destination, now, reason); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
UPDATE deliveries SET state = 'dead', ended_at = $2, error = 'the destination is disabled'
 WHERE destination = $1 AND state = 'pending' AND leased_until IS NULL`, destination, now)
	return err
}
