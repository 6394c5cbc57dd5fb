package schema_test

import (
	"context"
	"strings"
	"testing"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/schema"
)

func TestMigrateRefusesTablesOfAnotherApplication(t *testing.T) {
	t.Parallel()
	for _, statement := range []string{
		`CREATE TABLE dead_letters (id int)`, `CREATE TABLE schema_migrations (version varchar PRIMARY KEY)`, `CREATE VIEW alarms AS SELECT 1`,
		`CREATE TYPE alarm_priority AS ENUM ('p1')`, `CREATE TYPE deliveries AS (id int)`, `CREATE SEQUENCE idx_alarms_open`,
		`CREATE FUNCTION refuse_history_change() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
	} {
		pool := pgtest.Empty(t)
		pgtest.Exec(t, pool, statement)
		_, err := schema.Migrate(t.Context(), pool)
		if err == nil || !strings.Contains(err.Error(), "of another application") {
			t.Errorf("Migrate after %s: %v, want it refused with advice", statement, err)
		}
		if err := schema.Check(t.Context(), pool); err == nil || !strings.Contains(err.Error(), "of another application") {
			t.Errorf("Check after %s: %v, want it refused with advice", statement, err)
		}
		if n := pgtest.Value[int](t, pool, `SELECT count(*) FROM pg_class WHERE relname = 'heartbeat_records'`); n != 0 {
			t.Errorf("after %s tables were created", statement)
		}
	}
}

// Migration, the start of a consumer and doctor give the same advice.
func TestOnlyUTF8IsAccepted(t *testing.T) {
	t.Parallel()
	admin := pgtest.Admin(t)
	for _, encoding := range []string{"LATIN1", "EUC_JP", "SQL_ASCII"} {
		name := "encoding_" + strings.ToLower(encoding)
		pgtest.Exec(t, admin, `CREATE DATABASE `+name+` ENCODING '`+encoding+`' LOCALE 'C' TEMPLATE template0`)
		options, err := postgres.Options{URL: pgtest.URL(admin), Role: "test"}.WithDatabase(name)
		if err != nil {
			t.Fatal(err)
		}
		pool, err := postgres.Open(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		if _, err := schema.Migrate(t.Context(), pool); err == nil || !strings.Contains(err.Error(), "has the encoding "+encoding) || !strings.Contains(err.Error(), "ENCODING 'UTF8'") {
			t.Errorf("Migrate on %s: %v, want it refused with advice", encoding, err)
		}
		if err := schema.Check(t.Context(), pool); err == nil || !strings.Contains(err.Error(), "ENCODING 'UTF8'") {
			t.Errorf("Check on %s: %v, want it refused with advice", encoding, err)
		}
	}
}

func TestRolesTouchOnlyOurObjects(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	pgtest.Exec(t, pool, `CREATE TABLE orders (id int); GRANT SELECT ON orders TO PUBLIC; CREATE VIEW order_view AS SELECT 1 AS one; CREATE EXTENSION IF NOT EXISTS pg_stat_statements`)
	owner := pgtest.Value[string](t, pool, `SELECT relowner::regrole::text FROM pg_class WHERE relname = 'orders'`)
	if err := schema.ApplyRoles(t.Context(), pool, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"orders", "order_view", "pg_stat_statements"} {
		if got := pgtest.Value[string](t, pool, `SELECT relowner::regrole::text FROM pg_class WHERE relname = $1`, name); got != owner {
			t.Errorf("%s belongs to %s, want %s", name, got, owner)
		}
	}
	if !pgtest.Value[bool](t, pool, `SELECT has_database_privilege('pg_monitor', current_database(), 'CONNECT')`) {
		t.Error("others lost the right to connect")
	}
	if got := pgtest.Value[string](t, pool, `SELECT relowner::regrole::text FROM pg_class WHERE relname = 'ingest_progress'`); got != string("heartbeat_owner") {
		t.Errorf("ingest_progress belongs to %s", got)
	}
}

func TestMigrateSaysWhichRightIsMissing(t *testing.T) {
	t.Parallel()
	pool := pgtest.Empty(t)
	pgtest.Exec(t, pool, `CREATE ROLE visitor LOGIN PASSWORD 'visitor'`)
	t.Cleanup(func() { _, _ = pgtest.Admin(t).Exec(context.Background(), `DROP ROLE visitor`) })
	visitor := pgtest.SignIn(t, pool, "visitor", "visitor")
	if _, err := schema.Migrate(t.Context(), visitor); err == nil || !strings.Contains(err.Error(), "GRANT CREATE ON SCHEMA public TO visitor") {
		t.Errorf("Migrate: %v, want the missing right named", err)
	}
}
