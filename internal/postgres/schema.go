package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// SchemaProblem is what is wrong with the schema of a database.
type SchemaProblem string

// The problems.
const (
	SchemaMissing SchemaProblem = "missing" // no migration was ever applied
	SchemaOlder   SchemaProblem = "older"   // than this binary
	SchemaNewer   SchemaProblem = "newer"   // than this binary
	SchemaEdited  SchemaProblem = "edited"  // a migration is not the one that was applied
)

// SchemaError says that this binary and the schema of the database do not fit.
type SchemaError struct {
	Problem SchemaProblem
	Have    int    // the database's version; of SchemaEdited the migration's
	Want    int    // this binary's version
	Name    string // of SchemaEdited, the migration's
}

func (e *SchemaError) Error() string {
	switch e.Problem {
	case SchemaMissing:
		return "the database has no schema yet: run heartbeat migrate"
	case SchemaOlder:
		return fmt.Sprintf("the database's schema has version %d and this binary needs %d: run heartbeat migrate", e.Have, e.Want)
	case SchemaNewer:
		return fmt.Sprintf("the database's schema has version %d and this binary knows %d: use a newer binary", e.Have, e.Want)
	default:
		return fmt.Sprintf("migration %04d_%s was applied to the database in another wording than this binary's: use the binary that belongs to the database", e.Have, e.Name)
	}
}

// CheckSchema returns nil when the schema is this binary's, and a SchemaError when it is not.
func CheckSchema(ctx context.Context, pool *pgxpool.Pool) error {
	migrations, err := SchemaState(ctx, pool)
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
		return &SchemaError{Problem: SchemaMissing, Want: want}
	default:
		return &SchemaError{Problem: SchemaOlder, Have: have, Want: want}
	}
}

// SchemaState returns the migrations of this binary and when each was applied. It fails with a SchemaError when the
// database has one that this binary does not know.
func SchemaState(ctx context.Context, pool *pgxpool.Pool) ([]Migration, error) {
	var migrated bool
	if err := pool.QueryRow(ctx, `SELECT to_regclass('schema_migrations') IS NOT NULL`).Scan(&migrated); err != nil {
		return nil, fmt.Errorf("look for schema: %w", err)
	}
	if !migrated {
		return knownMigrations()
	}
	return readLedger(ctx, pool)
}

// querier is a pool, a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// readLedger marks the migrations that the database has had, and refuses one that this binary does not know.
func readLedger(ctx context.Context, db querier) ([]Migration, error) {
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
	ledger, err := pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	for _, entry := range ledger {
		if entry.Version > len(known) {
			return nil, &SchemaError{Problem: SchemaNewer, Have: ledger[len(ledger)-1].Version, Want: len(known)}
		}
		migration := &known[entry.Version-1]
		if migration.Checksum != entry.Checksum {
			return nil, &SchemaError{Problem: SchemaEdited, Have: entry.Version, Want: len(known), Name: migration.Name}
		}
		migration.AppliedAt = &entry.AppliedAt
	}
	return known, nil
}
