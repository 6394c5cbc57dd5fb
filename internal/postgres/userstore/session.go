package userstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/users"
)

// maxSessions bounds the sessions of one user, or of the token: the oldest give way.
const maxSessions = 1000

// beginSQL locks the user's row by its update, so that no session begins while the user is disabled or the password changes. It does
// nothing where either has happened.
const beginSQL = `
WITH who AS (
    UPDATE console_users SET last_sign_in_at = now()
     WHERE name = @name AND disabled_at IS NULL AND password_hash = @password_hash
    RETURNING name)
INSERT INTO console_sessions (session_hash, user_name, expires_at)
SELECT @session_hash, name, now() + @lifetime::interval FROM who`

// Begin stores a session of a user whose password was checked against a hash. It fails with users.ErrNotFound where the user was
// disabled or the password changed meanwhile.
func (s *Store) Begin(ctx context.Context, session users.SessionHash, name, passwordHash string, lifetime time.Duration) error {
	return s.begin(ctx, &name, beginSQL, pgx.StrictNamedArgs{
		"session_hash": session[:], "name": name, "password_hash": passwordHash, "lifetime": lifetime,
	})
}

// BeginToken stores a session that was begun with the token.
func (s *Store) BeginToken(ctx context.Context, session users.SessionHash, lifetime time.Duration) error {
	return s.begin(ctx, nil, `
INSERT INTO console_sessions (session_hash, expires_at) VALUES (@session_hash, now() + @lifetime::interval)`,
		pgx.StrictNamedArgs{"session_hash": session[:], "lifetime": lifetime})
}

func (s *Store) begin(ctx context.Context, name *string, sql string, arguments pgx.StrictNamedArgs) error {
	err := s.write(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, arguments)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return users.ErrNotFound
		}
		_, err = tx.Exec(ctx, `
DELETE FROM console_sessions
 WHERE expires_at < now()
    OR session_hash IN (SELECT session_hash FROM console_sessions
                         WHERE user_name IS NOT DISTINCT FROM $1 ORDER BY created_at DESC OFFSET $2)`, name, maxSessions)
		return err
	})
	if err != nil {
		return fmt.Errorf("begin session: %w", err)
	}
	return nil
}

// Session returns the session that one of some hashes names, or users.ErrNotFound where it has ended. It notes to the
// minute that the session is in use.
func (s *Store) Session(ctx context.Context, hashes ...users.SessionHash) (session users.Session, err error) {
	keys := make([][]byte, len(hashes))
	for i := range hashes {
		keys[i] = hashes[i][:]
	}
	var key []byte
	var unseen bool
	err = s.pool.QueryRow(ctx, `
SELECT session_hash, coalesce(user_name, ''), coalesce(role, ''), expires_at, last_seen_at < now() - interval '1 minute'
  FROM console_sessions
  LEFT JOIN console_users ON name = user_name
 WHERE session_hash = ANY ($1) AND expires_at > now() AND disabled_at IS NULL`, keys).
		Scan(&key, &session.User, &session.Role, &session.Ends, &unseen)
	if errors.Is(err, pgx.ErrNoRows) {
		err = users.ErrNotFound
	}
	if err == nil && unseen {
		err = s.write(ctx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE console_sessions SET last_seen_at = now() WHERE session_hash = $1`, key)
			return err
		})
	}
	if err != nil {
		return users.Session{}, fmt.Errorf("read session: %w", err)
	}
	session.Hash, session.Ends = users.SessionHash(key), session.Ends.UTC()
	return session, nil
}

// End ends the sessions that some hashes name. Ending one twice changes nothing.
func (s *Store) End(ctx context.Context, hashes ...users.SessionHash) error {
	keys := make([][]byte, len(hashes))
	for i := range hashes {
		keys[i] = hashes[i][:]
	}
	err := s.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM console_sessions WHERE session_hash = ANY ($1)`, keys)
		return err
	})
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// AuditRead records that an actor read one person's data.
func (s *Store) AuditRead(ctx context.Context, actor users.Actor, subject, route string) error {
	err := s.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO audited_reads (actor, method, subject, route) VALUES ($1, $2, $3, $4)`,
			actor.Name, string(actor.Method), subject, route)
		return err
	})
	if err != nil {
		return fmt.Errorf("audit read: %w", err)
	}
	return nil
}
