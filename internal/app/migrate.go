package app

import (
	"context"
	"log/slog"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/schema"
)

// Migrate brings the schema of the database up to this binary's and returns what it applied.
func Migrate(ctx context.Context, options postgres.Options, logger *slog.Logger) ([]schema.Migration, error) {
	pool, err := openServer(ctx, options, logger)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	return schema.Migrate(ctx, pool)
}

// MigrationStatus returns this binary's migrations and which of them are applied.
func MigrationStatus(ctx context.Context, options postgres.Options, logger *slog.Logger) ([]schema.Migration, error) {
	pool, err := openServer(ctx, options, logger)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	return schema.State(ctx, pool)
}

// ApplyRoles creates the database's roles and grants each what it needs. Those in passwords may sign in.
func ApplyRoles(ctx context.Context, options postgres.Options, passwords map[schema.Role]string, logger *slog.Logger) error {
	pool, err := openDatabase(ctx, options, logger)
	if err != nil {
		return err
	}
	defer pool.Close()
	return schema.ApplyRoles(ctx, pool, passwords)
}
