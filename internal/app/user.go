package app

import (
	"context"
	"log/slog"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/userstore"
	"heartbeat/internal/users"
)

// Users is the role that manages who may use the console. It must be closed.
type Users struct {
	pool  *postgres.Pool
	store *userstore.Store
}

// OpenUsers connects to the database.
func OpenUsers(ctx context.Context, options postgres.Options, logger *slog.Logger) (*Users, error) {
	pool, err := openDatabase(ctx, options, logger)
	if err != nil {
		return nil, err
	}
	return &Users{pool: pool, store: userstore.New(pool)}, nil
}

// Close disconnects.
func (u *Users) Close() { u.pool.Close() }

// List returns all users by name.
func (u *Users) List(ctx context.Context) ([]users.User, error) { return u.store.List(ctx) }

// Add adds a user. Without a password the user signs in through a proxy only.
func (u *Users) Add(ctx context.Context, name string, role users.Role, password *string) error {
	hash := ""
	if password != nil {
		hash = users.HashPassword(*password)
	}
	return u.store.Add(ctx, name, role, hash)
}

// SetPassword gives a user a new password and ends the user's sessions.
func (u *Users) SetPassword(ctx context.Context, name, password string) error {
	return u.store.SetPassword(ctx, name, users.HashPassword(password))
}

// Disable keeps a user out and ends the user's sessions.
func (u *Users) Disable(ctx context.Context, name string) error { return u.store.Disable(ctx, name) }

// Enable lets a user in again, with another role unless it is empty.
func (u *Users) Enable(ctx context.Context, name string, role users.Role) error {
	return u.store.Enable(ctx, name, role)
}
