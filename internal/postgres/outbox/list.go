package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Listed is a delivery for a person to look at.
type Listed struct {
	ID            uuid.UUID  `json:"delivery_id"`
	Destination   string     `json:"destination"`
	Type          string     `json:"type"`
	Priority      string     `json:"priority"`
	Alarms        int        `json:"alarms"`
	State         string     `json:"state"`
	Attempts      int        `json:"attempts"`
	Code          *int       `json:"code"`
	Error         string     `json:"error"`
	CreatedAt     time.Time  `json:"created_at"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	EndedAt       *time.Time `json:"ended_at"`
}

// List returns the newest deliveries in a state, or in any where it is empty, to a destination, or to any.
func (s *Store) List(ctx context.Context, state, destination string, limit int) ([]Listed, error) {
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
	listed, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Listed])
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return listed, nil
}

// Retry makes dead deliveries pending again, at once and with all their attempts: one by its id, or all of a destination, which is
// enabled again. It returns how many.
func (s *Store) Retry(ctx context.Context, id uuid.UUID, destination string, now time.Time) (count int, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
UPDATE deliveries
   SET state = 'pending', ended_at = NULL, attempts = 0, next_attempt_at = $3, created_at = $3, leased_until = NULL, leased_by = NULL
 WHERE state = 'dead' AND (delivery_id = $1 OR destination = $2)`, id, destination, now)
		if err != nil {
			return err
		}
		count = int(tag.RowsAffected())
		_, err = tx.Exec(ctx, `
UPDATE notification_destinations SET disabled_at = NULL, disabled_reason = ''
 WHERE name = $2 OR name = (SELECT destination FROM deliveries WHERE delivery_id = $1)`, id, destination)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("retry deliveries: %w", err)
	}
	return count, nil
}

// Depth is what waits for a destination.
type Depth struct {
	Destination string
	Queued      int       // events that are not in a message yet
	Pending     int       // messages
	Dead        int       // messages of the last day
	Oldest      time.Time // message that waits, zero for none
}

// Depths counts what waits, and the events that are not routed yet.
func (s *Store) Depths(ctx context.Context, now time.Time) (depths []Depth, unrouted int, err error) {
	rows, err := s.pool.Query(ctx, `
SELECT d.name, (SELECT count(*) FROM notification_queue AS q WHERE q.destination = d.name)::integer,
       (SELECT count(*) FROM deliveries AS p WHERE p.destination = d.name AND p.state = 'pending')::integer,
       (SELECT count(*) FROM deliveries AS x WHERE x.destination = d.name AND x.state = 'dead' AND x.created_at > $1)::integer,
       coalesce((SELECT min(p.created_at) FROM deliveries AS p WHERE p.destination = d.name AND p.state = 'pending'), '0001-01-01Z')
  FROM notification_destinations AS d
 ORDER BY d.name`, now.Add(-maxAge))
	if err != nil {
		return nil, 0, fmt.Errorf("count deliveries: %w", err)
	}
	if depths, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Depth]); err != nil {
		return nil, 0, fmt.Errorf("count deliveries: %w", err)
	}
	if err := s.pool.QueryRow(ctx, `SELECT count(*) FROM alarm_events WHERE routed_at IS NULL`).Scan(&unrouted); err != nil {
		return nil, 0, fmt.Errorf("count events: %w", err)
	}
	return depths, unrouted, nil
}

// keep is how long deliveries that have ended are listed.
const keep = 30 * 24 * time.Hour

// Drop removes deliveries that ended long ago.
func (s *Store) Drop(ctx context.Context, now time.Time) error {
	_, err := s.pool.Exec(ctx, `
DELETE FROM deliveries WHERE state <> 'pending' AND ended_at < $1`, now.Add(-keep))
	if err != nil {
		return fmt.Errorf("drop old deliveries: %w", err)
	}
	return nil
}

// DropUnknown removes what is left of alarms that are gone.
func (s *Store) DropUnknown(ctx context.Context) error {
	for _, table := range [...]string{"notification_queue", "notification_told"} {
		_, err := s.pool.Exec(ctx, `DELETE FROM `+table+` AS d WHERE NOT EXISTS (SELECT FROM alarms AS a WHERE a.alarm_id = d.alarm_id)`)
		if err != nil {
			return fmt.Errorf("drop what is left of alarms: %w", err)
		}
	}
	return nil
}
