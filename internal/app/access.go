package app

import (
	"context"
	"log/slog"
	"time"

	"heartbeat/internal/device"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/devicestore"
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

// Devices is the role that manages what may send readings over HTTP. It must be closed.
type Devices struct {
	pool  *postgres.Pool
	store *devicestore.Store
}

// OpenDevices connects to the database.
func OpenDevices(ctx context.Context, options postgres.Options, logger *slog.Logger) (*Devices, error) {
	pool, err := openDatabase(ctx, options, logger)
	if err != nil {
		return nil, err
	}
	return &Devices{pool: pool, store: devicestore.New(pool)}, nil
}

// Close disconnects.
func (d *Devices) Close() { d.pool.Close() }

// Add adds a device and returns its token, which is not stored.
func (d *Devices) Add(ctx context.Context, added device.Device) (token string, err error) {
	token = device.NewToken()
	return token, d.store.Add(ctx, added, device.HashToken(token))
}

// List returns all devices by name.
func (d *Devices) List(ctx context.Context) ([]device.Registration, error) { return d.store.List(ctx) }

// Rotate gives a device a new token and returns it. The one before stays valid for the overlap.
func (d *Devices) Rotate(ctx context.Context, name string, overlap time.Duration) (token string, err error) {
	token = device.NewToken()
	return token, d.store.Rotate(ctx, name, device.HashToken(token), overlap)
}

// Revoke ends all tokens of a device for good.
func (d *Devices) Revoke(ctx context.Context, name string) error { return d.store.Revoke(ctx, name) }
