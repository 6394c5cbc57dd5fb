package schema

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/postgres"
)

const history = "schema_migrations"

var (
	createdObject = regexp.MustCompile(`(?m)^\s*CREATE (?:TABLE|VIEW) ([a-z_]+)`)
	createdOther  = regexp.MustCompile(`(?m)^\s*CREATE (?:OR REPLACE )?(?:UNIQUE )?(?:INDEX|TYPE|FUNCTION) ([a-z_]+)`)
)

// objects returns the names of all tables and views that the migrations create, partitions by time aside.
func objects() ([]string, error) {
	names, err := created(createdObject)
	return append(names, history), err
}

// created returns the names that a pattern finds in the migrations.
func created(pattern *regexp.Regexp) (names []string, err error) {
	migrations, err := knownMigrations()
	if err != nil {
		return nil, err
	}
	for _, migration := range migrations {
		for _, match := range pattern.FindAllStringSubmatch(migration.sql, -1) {
			names = append(names, match[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// An object is foreign unless the history, which is recognised by its checksums, shows that migrations have run.
const databaseQuery = `
SELECT current_database(), getdatabaseencoding(),
       ARRAY(SELECT name::text
               FROM (SELECT relnamespace, relname FROM pg_class
                      UNION SELECT typnamespace, typname FROM pg_type
                      UNION SELECT pronamespace, proname FROM pg_proc) AS held (namespace, name)
              WHERE namespace = current_schema()::regnamespace AND name = ANY ($1)
                AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('schema_migrations') AND attname = 'checksum')
              ORDER BY name)`

// UnsuitableError says why a database cannot hold the schema, and what to do.
type UnsuitableError struct{ text string }

func (e *UnsuitableError) Error() string { return e.text }

func unsuitable(format string, arguments ...any) error {
	return &UnsuitableError{fmt.Sprintf(format, arguments...)}
}

// checkDatabase refuses a database that cannot hold every reading, or that holds something of another application under our names.
func checkDatabase(ctx context.Context, db postgres.Querier) error {
	names, err := objects()
	if err != nil {
		return err
	}
	others, err := created(createdOther)
	if err != nil {
		return err
	}
	rows, err := db.Query(ctx, databaseQuery, append(names, others...))
	if err != nil {
		return fmt.Errorf("examine database: %w", err)
	}
	var database, encoding string
	var foreign []string
	if _, err := pgx.ForEachRow(rows, []any{&database, &encoding, &foreign}, func() error { return nil }); err != nil {
		return fmt.Errorf("examine database: %w", err)
	}
	if encoding != "UTF8" {
		return unsuitable("the database %s has the encoding %s, which cannot hold every message: create one with "+
			"CREATE DATABASE heartbeat_db ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0", database, encoding)
	}
	if len(foreign) > 0 {
		return unsuitable("the database %s holds %s of another application: give Heartbeat a database (POSTGRES_DB or DATABASE_URL) or a schema (POSTGRES_SCHEMA) of its own, then run heartbeat migrate",
			database, strings.Join(foreign, ", "))
	}
	return nil
}
