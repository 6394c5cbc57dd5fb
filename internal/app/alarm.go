package app

import (
	"context"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/notifier"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/outbox"
)

// Alarms is the role that acts on alarms and limits. It must be closed.
type Alarms struct {
	*alarmstore.Store
	pool *postgres.Pool
}

// OpenAlarms connects to the database.
func OpenAlarms(ctx context.Context, options postgres.Options, logger *slog.Logger) (*Alarms, error) {
	pool, err := openDatabase(ctx, options, logger)
	if err != nil {
		return nil, err
	}
	return &Alarms{Store: alarmstore.New(pool), pool: pool}, nil
}

// Close disconnects.
func (a *Alarms) Close() { a.pool.Close() }

// NotifyOptions set up the notifier role.
type NotifyOptions struct {
	Database       postgres.Options
	File           string // of destinations and routes; empty: everything into the log
	WithValues     bool
	Reload         <-chan os.Signal // reads the file again
	MetricsAddress string           // empty: none
	Registry       *prometheus.Registry
	Logger         *slog.Logger
}

// Notify escalates alarms and tells people, until the context ends.
func Notify(ctx context.Context, options NotifyOptions) error {
	pool, err := openDatabase(ctx, options.Database, options.Logger.With("component", "notify"))
	if err != nil {
		return err
	}
	defer pool.Close()
	role, err := notifier.New(notifier.Options{
		Pool: pool, File: options.File, WithValues: options.WithValues, Reload: options.Reload,
		MetricsAddress: options.MetricsAddress, Registry: options.Registry, Logger: options.Logger,
	})
	if err != nil {
		return err
	}
	return role.Run(ctx)
}

// Outbox lists deliveries and sends dead ones again. It must be closed.
type Outbox struct {
	*outbox.Store
	pool *postgres.Pool
}

// OpenOutbox connects to the database.
func OpenOutbox(ctx context.Context, options postgres.Options, logger *slog.Logger) (*Outbox, error) {
	pool, err := openDatabase(ctx, options, logger)
	if err != nil {
		return nil, err
	}
	return &Outbox{Store: outbox.New(pool), pool: pool}, nil
}

// Close disconnects.
func (o *Outbox) Close() { o.pool.Close() }
