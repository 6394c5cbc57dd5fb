package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres"
)

// Problem is why a binary and the schema of a database do not fit.
type Problem string

// The problems.
const (
	Missing Problem = "missing" // no migration was ever applied
	Older   Problem = "older"   // than this binary
	Newer   Problem = "newer"   // than this binary
	Edited  Problem = "edited"  // a migration is not the one that was applied
)

// Error says that this binary and the schema of the database do not fit.
type Error struct {
	Problem Problem
	Have    int    // the database's version; of Edited the migration's
	Want    int    // this binary's version
	Name    string // of Edited, the migration's
}

func (e *Error) Error() string {
	switch e.Problem {
	case Missing:
		return "the database has no schema yet: run heartbeat migrate"
	case Older:
		return fmt.Sprintf("the database's schema has version %d and this binary needs %d: run heartbeat migrate", e.Have, e.Want)
	case Newer:
		return fmt.Sprintf("the database's schema has version %d and this binary knows %d: use a newer binary", e.Have, e.Want)
	default:
		return fmt.Sprintf("migration %04d_%s was applied to the database with other SQL than this binary's: use the binary that migrated the database", e.Have, e.Name)
	}
}

// Check returns nil when the schema is this binary's, and a Error when it is not.
func Check(ctx context.Context, pool *pgxpool.Pool) error {
	migrations, err := State(ctx, pool)
	if err != nil {
		return err
	}
	have := 0
	for _, migration := range migrations {
		if migration.AppliedAt != nil {
			have = migration.Version
		}
	}
	switch want := len(migrations); have {
	case want:
		return nil
	case 0:
		return &Error{Problem: Missing, Want: want}
	default:
		return &Error{Problem: Older, Have: have, Want: want}
	}
}

// State returns the migrations of this binary and when each was applied. It fails with a Error when the
// database has one that this binary does not know.
func State(ctx context.Context, pool *pgxpool.Pool) ([]Migration, error) {
	if err := checkDatabase(ctx, pool); err != nil {
		return nil, err
	}
	var migrated bool
	if err := pool.QueryRow(ctx, `SELECT to_regclass('schema_migrations') IS NOT NULL`).Scan(&migrated); err != nil {
		return nil, fmt.Errorf("look for schema: %w", err)
	}
	if !migrated {
		return knownMigrations()
	}
	return readHistory(ctx, pool)
}

// readHistory returns this binary's migrations with the time each was applied. It fails when the database has one that this binary
// does not know.
func readHistory(ctx context.Context, db postgres.Querier) ([]Migration, error) {
	known, err := knownMigrations()
	if err != nil {
		return nil, err
	}
	rows, err := db.Query(ctx, `SELECT version, name, checksum, applied_at FROM schema_migrations ORDER BY version`)
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	type entry struct {
		Version        int
		Name, Checksum string
		AppliedAt      time.Time
	}
	applied, err := pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	for _, entry := range applied {
		if entry.Version > len(known) {
			return nil, &Error{Problem: Newer, Have: applied[len(applied)-1].Version, Want: len(known)}
		}
		migration := &known[entry.Version-1]
		if migration.Checksum != entry.Checksum {
			return nil, &Error{Problem: Edited, Have: entry.Version, Want: len(known), Name: migration.Name}
		}
		migration.AppliedAt = &entry.AppliedAt
	}
	return known, nil
}
