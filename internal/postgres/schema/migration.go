package schema

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrationLock is the key of the advisory lock that lets one process migrate at a time.
const migrationLock = 0x6865617274_0001

// Migration is one numbered step of the schema.
type Migration struct {
	Version   int
	Name      string
	Checksum  string     // SHA-256 of its SQL
	AppliedAt *time.Time // nil while it is pending
	sql       string
}

// knownMigrations returns the migrations that this binary carries, in order.
func knownMigrations() ([]Migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	migrations := make([]Migration, 0, len(names))
	for _, name := range names {
		sql, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		number, title, _ := strings.Cut(strings.TrimSuffix(path.Base(name), ".sql"), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != len(migrations)+1 {
			return nil, fmt.Errorf("number migration %s: want %04d", name, len(migrations)+1)
		}
		sum := sha256.Sum256(sql)
		migrations = append(migrations, Migration{Version: version, Name: title, Checksum: hex.EncodeToString(sum[:]), sql: string(sql)})
	}
	return migrations, nil
}

// Migrate brings the schema up to this binary's version and returns the migrations it applied. Each migration is one transaction, so
// a run that is killed leaves complete migrations and the next run continues. Concurrent runs wait for each other.
func Migrate(ctx context.Context, pool *pgxpool.Pool) (applied []Migration, err error) {
	conn, err := postgres.ConnectUnlimited(ctx, pool, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx)) // releases the lock
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		return nil, fmt.Errorf("lock schema for migration: %w", err)
	}
	if err := checkDatabase(ctx, conn); err != nil {
		return nil, err
	}
	if err := createSchema(ctx, conn); err != nil {
		return nil, err
	}
	if err := createHistory(ctx, conn); err != nil {
		return nil, err
	}
	migrations, err := readHistory(ctx, conn)
	if err != nil {
		return nil, err
	}
	for _, migration := range migrations {
		if migration.AppliedAt != nil {
			continue
		}
		if err := migration.apply(ctx, conn); err != nil {
			return applied, fmt.Errorf("apply migration %04d_%s: %w", migration.Version, migration.Name, err)
		}
		applied = append(applied, migration)
	}
	return applied, nil
}

func (m *Migration) apply(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, m.sql); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
INSERT INTO schema_migrations (version, name, checksum)
VALUES ($1, $2, $3)
RETURNING applied_at`, m.Version, m.Name, m.Checksum).Scan(&m.AppliedAt)
	})
}

// createSchema creates the only schema of the session's search_path where it is missing.
func createSchema(ctx context.Context, conn *pgx.Conn) error {
	var path string
	var usable bool
	if err := conn.QueryRow(ctx, `SELECT current_setting('search_path'), current_schema() IS NOT NULL`).Scan(&path, &usable); err != nil {
		return fmt.Errorf("look for schema: %w", err)
	}
	if usable || strings.Contains(path, ",") {
		return nil
	}
	_, err := conn.Exec(ctx, `CREATE SCHEMA `+path) // quoted where SQL needs it
	if postgres.LacksRight(err) {
		return fmt.Errorf("create schema %s: %w: as the owner of the database %[3]s run CREATE SCHEMA %[1]s AUTHORIZATION %[4]s, or migrate as that owner",
			path, err, conn.Config().Database, conn.Config().User)
	}
	if err != nil {
		return fmt.Errorf("create schema %s: %w", path, err)
	}
	return nil
}

func createHistory(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer     PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)`)
	if postgres.LacksRight(err) {
		return fmt.Errorf("create table schema_migrations: %w: the user %s may not create tables: run GRANT CREATE ON SCHEMA %s TO %[2]s as the owner of the database %[4]s, or migrate as that owner",
			err, conn.Config().User, currentSchema(ctx, conn), conn.Config().Database)
	}
	if err != nil {
		return fmt.Errorf("create table schema_migrations: %w", err)
	}
	return nil
}

// currentSchema names the schema of the session for an error message.
func currentSchema(ctx context.Context, conn *pgx.Conn) string {
	name := "public"
	_ = conn.QueryRow(ctx, `SELECT quote_ident(current_schema())`).Scan(&name)
	return name
}
