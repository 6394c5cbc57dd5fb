package alarmstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/alarm"
)

// Store reads and changes alarms for people. The pool stays the caller's to close.
type Store struct{ pool *pgxpool.Pool }

// New returns a Store on a pool.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// maxAttempts bounds how often an action is decided again because its alarm changed meanwhile.
const maxAttempts = 20

// Act does what an operator wants and returns the alarm after it. It holds no row between reading and writing: an alarm that
// changed meanwhile is read and decided again. Its error is an *alarm.Error where the action is refused.
func (s *Store) Act(ctx context.Context, id alarm.ID, action alarm.Action, now time.Time) (alarm.Alarm, error) {
	for range maxAttempts {
		held, since, err := s.read(ctx, id, action.Expected)
		if err != nil {
			return held, err
		}
		after, event, changed, err := held.Act(action, since, uuid.New(), now.UTC().Truncate(time.Microsecond))
		if err != nil || !changed {
			return held, err
		}
		stored, err := s.store(ctx, &after, &event)
		if err != nil {
			return held, err
		}
		if stored {
			return after, nil
		}
	}
	return alarm.Alarm{}, fmt.Errorf("act on alarm %s: it changed %d times meanwhile", id, maxAttempts)
}

// read returns an alarm with the events after a version, without any where that is 0.
func (s *Store) read(ctx context.Context, id alarm.ID, version int64) (alarm.Alarm, []alarm.Event, error) {
	held, err := s.Alarm(ctx, id)
	if err != nil || version == 0 || version >= held.Version {
		return held, nil, err
	}
	rows, err := s.pool.Query(ctx, `SELECT`+eventColumns+`
  FROM alarm_events
 WHERE alarm_id = $1 AND version > $2 AND version <= $3
 ORDER BY version`, id, version, held.Version)
	if err != nil {
		return held, nil, fmt.Errorf("read history of alarm: %w", err)
	}
	since, err := pgx.CollectRows(rows, scanEvent)
	if err != nil {
		return held, nil, fmt.Errorf("read history of alarm: %w", err)
	}
	return held, since, nil
}

// storeSQL changes the columns that operators may change, under the condition that the alarm is still at the version before the
// event, and inserts the event.
const storeSQL = `
WITH changed AS (
    UPDATE alarms
       SET version = @version, closed_at = @closed_at, closed_by = @closed_by,
           acknowledged_by = @acknowledged_by, acknowledged_at = @acknowledged_at, acknowledged_until = @acknowledged_until, seen_at = @seen_at,
           snoozed_by = @snoozed_by, snoozed_until = @snoozed_until, assigned_to = @assigned_to, note = @note, tier = @tier
     WHERE alarm_id = @alarm_id AND version = @version - 1
    RETURNING alarm_id)
INSERT INTO alarm_events (event_id, alarm_id, version, kind, at, actor, until, assignee, tier, note)
SELECT @event_id, alarm_id, @version, @kind, @at, @actor, @until, @assignee, @event_tier, @event_note
  FROM changed`

// store writes the state after an event of an operator or of time. It reports false when the alarm has changed since.
func (s *Store) store(ctx context.Context, after *alarm.Alarm, event *alarm.Event) (bool, error) {
	tag, err := s.pool.Exec(ctx, storeSQL, pgx.NamedArgs{
		"alarm_id": after.ID, "version": after.Version,
		"closed_at": nullTime(after.ClosedAt), "closed_by": null(after.ClosedBy),
		"acknowledged_by": null(after.AcknowledgedBy), "acknowledged_at": nullTime(after.AcknowledgedAt),
		"acknowledged_until": nullTime(after.AcknowledgedUntil), "seen_at": nullTime(after.SeenAt),
		"snoozed_by": null(after.SnoozedBy), "snoozed_until": nullTime(after.SnoozedUntil),
		"assigned_to": after.AssignedTo, "note": after.Note, "tier": after.Tier,
		"event_id": event.ID, "kind": string(event.Kind), "at": event.At, "actor": null(event.Actor), "until": nullTime(event.Until),
		"assignee": assignee(event), "event_tier": null(event.Tier), "event_note": event.Note,
	})
	if err != nil {
		return false, fmt.Errorf("store %s of alarm %s: %w", event.Kind, after.ID, readOnly(err))
	}
	return tag.RowsAffected() == 1, nil
}

// readOnly gives the error of a role that may only read, or of a server that only reads, a sentence that says what to do.
func readOnly(err error) error {
	const insufficientPrivilege, readOnlyTransaction = "42501", "25006"
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || refused.Code != insufficientPrivilege && refused.Code != readOnlyTransaction {
		return err
	}
	return &alarm.Error{Code: alarm.NotOffered, Detail: "the database takes no change from this process: let it sign in as heartbeat_operator, " +
		"and to the primary server"}
}

// assignee keeps an assignment taken back, which is empty, apart from events that assign nothing.
func assignee(event *alarm.Event) *string {
	if event.Kind != alarm.Assigned {
		return nil
	}
	return &event.Assignee
}

// Alarm returns one alarm. It fails with an *alarm.Error of code NotFound for an unknown id.
func (s *Store) Alarm(ctx context.Context, id alarm.ID) (alarm.Alarm, error) {
	rows, err := s.pool.Query(ctx, `SELECT`+alarmColumns+` FROM alarms WHERE alarm_id = $1`, id)
	if err != nil {
		return alarm.Alarm{}, fmt.Errorf("read alarm: %w", err)
	}
	held, err := pgx.CollectExactlyOneRow(rows, scanAlarm)
	if errors.Is(err, pgx.ErrNoRows) {
		return held, &alarm.Error{Code: alarm.NotFound, Detail: fmt.Sprintf("there is no alarm %s", id)}
	}
	if err != nil {
		return held, fmt.Errorf("read alarm: %w", err)
	}
	return held, nil
}

// History returns all events of an alarm, oldest first.
func (s *Store) History(ctx context.Context, id alarm.ID) ([]alarm.Event, error) {
	rows, err := s.pool.Query(ctx, `SELECT`+eventColumns+` FROM alarm_events WHERE alarm_id = $1 ORDER BY version`, id)
	if err != nil {
		return nil, fmt.Errorf("read history of alarm: %w", err)
	}
	events, err := pgx.CollectRows(rows, scanEvent)
	if err != nil {
		return nil, fmt.Errorf("read history of alarm: %w", err)
	}
	return events, nil
}
