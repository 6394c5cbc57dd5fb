package app

import (
	"context"
	"log/slog"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/schema"
)

// ApplyRoles creates the database's roles and grants each what it needs. Those in passwords may sign in.
func ApplyRoles(ctx context.Context, options postgres.Options, passwords map[schema.Role]string, logger *slog.Logger) error {
	pool, err := openDatabase(ctx, options, logger)
	if err != nil {
		return err
	}
	defer pool.Close()
	return schema.ApplyRoles(ctx, pool, passwords)
}
