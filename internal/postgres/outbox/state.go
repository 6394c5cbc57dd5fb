package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"heartbeat/internal/alarm"
	"heartbeat/internal/notify"
)

const (
	// postEvery is how often a destination is told all states again, so that it keeps them.
	postEvery = time.Minute
	// closedFor is how long it is told of an alarm after its end.
	closedFor = 15 * time.Minute
)

// Posting is the states to tell a destination. It belongs to the process until its lease ends.
type Posting struct {
	Alarms []notify.Alarm // the worst first

	all      bool
	failures int
	at       time.Time
}

// leasePostSQL leases the states of a destination when some have changed, and all of them once in a while and after a failure.
const leasePostSQL = `
UPDATE notification_destinations AS d
   SET posting_until = @now::timestamptz + @lease::interval, posting_by = @owner
 WHERE d.name = @destination AND d.disabled_at IS NULL
   AND (d.posting_until IS NULL OR d.posting_until <= @now) AND (d.next_post_at IS NULL OR d.next_post_at <= @now)
   AND (EXISTS (SELECT FROM notification_states AS s WHERE s.destination = d.name AND (s.posted IS NULL OR s.posted < s.version))
        OR (d.posted_at <= @now::timestamptz - @every::interval AND EXISTS (SELECT FROM notification_states AS s WHERE s.destination = d.name)))
RETURNING coalesce(d.posted_at <= @now::timestamptz - @every::interval, true) OR d.failures > 0, d.failures`

// LeasePost returns the states that a destination is to be told now; nil when there is nothing to tell, or another process does.
func (s *Store) LeasePost(ctx context.Context, destination, owner string, now time.Time) (*Posting, error) {
	posting := &Posting{at: now}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, leasePostSQL, pgx.NamedArgs{
			"destination": destination, "owner": owner, "now": now, "lease": Lease, "every": postEvery,
		}).Scan(&posting.all, &posting.failures); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM notification_states WHERE destination = $1 AND ended_at <= $2`, destination, now.Add(-closedFor)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
UPDATE notification_states AS s SET ended_at = CASE WHEN a.closed_at IS NOT NULL THEN $2::timestamptz END
  FROM alarms AS a
 WHERE a.alarm_id = s.alarm_id AND s.destination = $1 AND (a.closed_at IS NULL) <> (s.ended_at IS NULL)`, destination, now); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
SELECT s.cohort,`+alarmColumns+`
  FROM notification_states AS s
  JOIN alarms AS a USING (alarm_id)
 WHERE s.destination = @destination AND (@all OR s.posted IS NULL OR s.posted < s.version)
 ORDER BY a.closed_at IS NULL DESC, a.priority DESC, a.active_since`, pgx.NamedArgs{"destination": destination, "now": now, "all": posting.all})
		if err != nil {
			return err
		}
		posting.Alarms, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (a notify.Alarm, err error) {
			cohort := ""
			err = row.Scan(append([]any{&cohort}, targets(&a)...)...)
			a.Cohort = cohort
			return a, err
		})
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lease states: %w", err)
	}
	return posting, nil
}

// FinishPost records how a post ended. After a failure all states are told again, later.
func (s *Store) FinishPost(ctx context.Context, destination, owner string, posting *Posting, attempt Attempt, now time.Time) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var next *time.Time
		failures, postedAt := 0, nullTime(posting.at)
		if attempt.Error != "" {
			failures = posting.failures + 1
			delay, _ := notify.RetryDelay(alarm.High, failures, 0)
			at := now.Add(max(delay, attempt.RetryAfter))
			next, postedAt = &at, nil
		} else if !posting.all {
			postedAt = nil
		}
		tag, err := tx.Exec(ctx, `
UPDATE notification_destinations
   SET posting_until = NULL, posting_by = NULL, posted_at = coalesce($3, posted_at), failures = $4, next_post_at = $5, code = nullif($6::integer, 0), error = $7
 WHERE name = $1 AND posting_by = $2`, destination, owner, postedAt, failures, next, attempt.Code, attempt.Error)
		if err != nil || tag.RowsAffected() == 0 {
			return err // another process has taken over
		}
		if attempt.Gone {
			return disable(ctx, tx, destination, attempt.Error, now)
		}
		if attempt.Error != "" {
			return nil
		}
		ids, versions := make([]uuid.UUID, len(posting.Alarms)), make([]int64, len(posting.Alarms))
		for i := range posting.Alarms {
			ids[i], versions[i] = posting.Alarms[i].ID, posting.Alarms[i].Version
		}
		_, err = tx.Exec(ctx, `
UPDATE notification_states AS s SET posted = p.version
  FROM unnest($2::uuid[], $3::bigint[]) AS p (alarm_id, version)
 WHERE s.destination = $1 AND s.alarm_id = p.alarm_id AND s.posted IS DISTINCT FROM p.version`, destination, ids, versions)
		return err
	})
	if err != nil {
		return fmt.Errorf("record post of states: %w", err)
	}
	return nil
}
