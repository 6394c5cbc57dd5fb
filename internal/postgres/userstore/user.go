package userstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/users"
)

// Store keeps users, sessions and audited reads.
type Store struct{ pool *pgxpool.Pool }

// New returns a Store on a pool, which stays the caller's.
func New(pool *pgxpool.Pool) *Store { return &Store{pool} }

// write runs a transaction that may write.
func (s *Store) write(ctx context.Context, run func(tx pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadWrite}, run)
}

const userColumns = `
name, role, password_hash IS NOT NULL, created_at, password_at, last_sign_in_at, disabled_at`

func scanUser(row pgx.CollectableRow) (user users.User, err error) {
	err = row.Scan(&user.Name, &user.Role, &user.HasPassword, &user.CreatedAt, &user.PasswordAt, &user.LastSignInAt, &user.DisabledAt)
	user.CreatedAt = user.CreatedAt.UTC()
	for _, at := range []*time.Time{user.PasswordAt, user.LastSignInAt, user.DisabledAt} {
		if at != nil {
			*at = at.UTC()
		}
	}
	return user, err
}

const uniqueViolation = "23505"

// Add adds a user. An empty hash is for a user who signs in through a proxy only. It fails with users.ErrExists for a name that is taken.
func (s *Store) Add(ctx context.Context, name string, role users.Role, hash string) error {
	err := s.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
INSERT INTO console_users (name, role, password_hash, password_at)
VALUES (@name, @role, nullif(@hash, ''), CASE WHEN @hash <> '' THEN now() END)`,
			pgx.StrictNamedArgs{"name": name, "role": string(role), "hash": hash})
		return err
	})
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == uniqueViolation {
		err = users.ErrExists
	}
	if err != nil {
		return fmt.Errorf("add user %s: %w", name, err)
	}
	return nil
}

// List returns all users by name.
func (s *Store) List(ctx context.Context) ([]users.User, error) {
	rows, err := s.pool.Query(ctx, `SELECT`+userColumns+` FROM console_users ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanUser)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return all, nil
}

// User returns a user, or users.ErrNotFound.
func (s *Store) User(ctx context.Context, name string) (users.User, error) {
	rows, err := s.pool.Query(ctx, `SELECT`+userColumns+` FROM console_users WHERE name = $1`, name)
	if err != nil {
		return users.User{}, fmt.Errorf("read user: %w", err)
	}
	user, err := pgx.CollectExactlyOneRow(rows, scanUser)
	if errors.Is(err, pgx.ErrNoRows) {
		err = users.ErrNotFound
	}
	if err != nil {
		return users.User{}, fmt.Errorf("read user %s: %w", name, err)
	}
	return user, nil
}

// Any reports whether there is a user. Disabled ones count: disabling the last one must not open the console to its machine.
func (s *Store) Any(ctx context.Context) (exists bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM console_users)`).Scan(&exists)
	if err != nil {
		return false, fmt.Errorf("look for users: %w", err)
	}
	return exists, nil
}

// PasswordHash returns the hash of a user who may sign in with a password, or users.ErrNotFound.
func (s *Store) PasswordHash(ctx context.Context, name string) (hash string, err error) {
	err = s.pool.QueryRow(ctx, `
SELECT password_hash FROM console_users WHERE name = $1 AND disabled_at IS NULL AND password_hash IS NOT NULL`, name).Scan(&hash)
	if errors.Is(err, pgx.ErrNoRows) {
		err = users.ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("read password of user: %w", err)
	}
	return hash, nil
}

// SetPassword gives a user a new password and ends the user's sessions. It fails with users.ErrNotFound for an unknown name.
func (s *Store) SetPassword(ctx context.Context, name, hash string) error {
	return s.change(ctx, "set password of", name, true,
		`UPDATE console_users SET password_hash = @hash, password_at = now() WHERE name = @name`, pgx.StrictNamedArgs{"name": name, "hash": hash})
}

// Disable keeps a user out and ends the user's sessions. It fails with users.ErrNotFound for an unknown name.
func (s *Store) Disable(ctx context.Context, name string) error {
	return s.change(ctx, "disable", name, true,
		`UPDATE console_users SET disabled_at = coalesce(disabled_at, now()) WHERE name = @name`, pgx.StrictNamedArgs{"name": name})
}

// Enable lets a user in again, with another role where one is given. It fails with users.ErrNotFound for an unknown name.
func (s *Store) Enable(ctx context.Context, name string, role users.Role) error {
	return s.change(ctx, "enable", name, false,
		`UPDATE console_users SET disabled_at = NULL, role = coalesce(nullif(@role, ''), role) WHERE name = @name`,
		pgx.StrictNamedArgs{"name": name, "role": string(role)})
}

// change changes one user. The sessions end in the same transaction, so that none outlives the change.
func (s *Store) change(ctx context.Context, doing, name string, endSessions bool, sql string, arguments pgx.StrictNamedArgs) error {
	err := s.write(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, arguments)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return users.ErrNotFound
		}
		if endSessions {
			_, err = tx.Exec(ctx, `DELETE FROM console_sessions WHERE user_name = $1`, name)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s user %s: %w", doing, name, err)
	}
	return nil
}
