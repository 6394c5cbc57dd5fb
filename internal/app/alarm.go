package app

import (
	"context"
	"log/slog"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/alarmstore"
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
