package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"heartbeat/internal/readmodel"
)

// List returns the newest deliveries in a state, or in any where it is empty, to a destination, or to any.
func (s *Store) List(ctx context.Context, state, destination string, limit int) ([]readmodel.Delivery, error) {
	rows, err := s.pool.Query(ctx, `
SELECT delivery_id, destination, type, priority::text, cardinality(alarm_ids), state, attempts, code, error, created_at,
       CASE WHEN state = 'pending' THEN next_attempt_at END, ended_at
  FROM deliveries
 WHERE ($1 = '' OR state = $1) AND ($2 = '' OR destination = $2)
 ORDER BY created_at DESC, sequence DESC
 LIMIT $3`, state, destination, limit)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	listed, err := pgx.CollectRows(rows, pgx.RowToStructByPos[readmodel.Delivery])
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return listed, nil
}

// Retry makes dead deliveries pending again, at once and with all their attempts: one by its id, or all of a destination, which is
// enabled again; a pause that it asked for is over. It returns how many. They are sent also when their alarms are answered: a person wants them sent.
func (s *Store) Retry(ctx context.Context, id uuid.UUID, destination string, now time.Time) (count int, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
UPDATE deliveries
   SET state = 'pending', calls = false, ended_at = NULL, attempts = 0, refused = 0, next_attempt_at = $3, created_at = $3, leased_until = NULL, leased_by = NULL
 WHERE state = 'dead' AND (delivery_id = $1 OR destination = $2)`, id, destination, now)
		if err != nil {
			return err
		}
		count = int(tag.RowsAffected())
		_, err = tx.Exec(ctx, `
UPDATE notification_destinations SET disabled_at = NULL, disabled_reason = '', not_before = NULL
 WHERE name = $2 OR name = (SELECT destination FROM deliveries WHERE delivery_id = $1)`, id, destination)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("retry deliveries: %w", readOnly(err))
	}
	return count, nil
}

// readOnly gives the error of a role that may only read, or of a server that only reads, a sentence that says what to do.
func readOnly(err error) error {
	const insufficientPrivilege, readOnlyTransaction = "42501", "25006"
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && (refused.Code == insufficientPrivilege || refused.Code == readOnlyTransaction) {
		return readmodel.ErrReadOnly
	}
	return err
}

// Depths counts what waits, and the events that are not routed yet.
func (s *Store) Depths(ctx context.Context, now time.Time) (depths []readmodel.Destination, unrouted int, err error) {
	rows, err := s.pool.Query(ctx, `
SELECT d.name,
       (SELECT count(*) FROM notification_queue AS q WHERE q.destination = d.name AND q.delivery_id IS NULL)::integer
       + (SELECT count(*) FROM notification_states AS s WHERE s.destination = d.name AND (s.posted IS NULL OR s.posted < s.version))::integer,
       (SELECT count(*) FROM deliveries AS p WHERE p.destination = d.name AND p.state = 'pending')::integer,
       (SELECT count(*) FROM deliveries AS x WHERE x.destination = d.name AND x.state = 'dead' AND x.created_at > $1)::integer,
       least((SELECT min(p.created_at) FROM deliveries AS p WHERE p.destination = d.name AND p.state = 'pending'),
             (SELECT min(q.queued_at) FROM notification_queue AS q WHERE q.destination = d.name AND q.delivery_id IS NOT NULL),
             (SELECT min(s.routed_at) FROM notification_states AS s WHERE s.destination = d.name AND s.posted IS NULL)),
       d.storm, d.disabled_at, CASE WHEN d.disabled_at IS NULL THEN d.error ELSE d.disabled_reason END
  FROM notification_destinations AS d
 ORDER BY d.name`, now.Add(-maxAge))
	if err != nil {
		return nil, 0, fmt.Errorf("count deliveries: %w", err)
	}
	if depths, err = pgx.CollectRows(rows, pgx.RowToStructByPos[readmodel.Destination]); err != nil {
		return nil, 0, fmt.Errorf("count deliveries: %w", err)
	}
	if err := s.pool.QueryRow(ctx, `SELECT count(*) FROM alarm_events WHERE routed_at IS NULL`).Scan(&unrouted); err != nil {
		return nil, 0, fmt.Errorf("count events: %w", err)
	}
	return depths, unrouted, nil
}

// keep is how long deliveries that have ended are listed.
const keep = 30 * 24 * time.Hour

// dropAtOnce is how many deliveries one statement drops, so that none takes long or holds many locks.
const dropAtOnce = 10_000

// Drop removes deliveries that ended long ago.
func (s *Store) Drop(ctx context.Context, now time.Time) error {
	for {
		tag, err := s.pool.Exec(ctx, `
DELETE FROM deliveries
 WHERE delivery_id IN (
       SELECT delivery_id
         FROM deliveries
        WHERE created_at < $1 AND state <> 'pending' AND ended_at < $1
        ORDER BY created_at, sequence
        LIMIT $2)`, now.Add(-keep), dropAtOnce)
		if err != nil {
			return fmt.Errorf("drop old deliveries: %w", err)
		}
		if tag.RowsAffected() < dropAtOnce {
			return nil
		}
	}
}

// DropUnknown removes what is left of alarms that are gone.
func (s *Store) DropUnknown(ctx context.Context) error {
	for _, table := range [...]string{"notification_queue", "notification_told", "notification_states"} {
		_, err := s.pool.Exec(ctx, `DELETE FROM `+table+` AS d WHERE NOT EXISTS (SELECT FROM alarms AS a WHERE a.alarm_id = d.alarm_id)`)
		if err != nil {
			return fmt.Errorf("drop what is left of alarms: %w", err)
		}
	}
	return nil
}
