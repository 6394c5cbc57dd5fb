package postgres_test

import (
	"errors"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
)

// openAs returns a pool whose sessions sign in as a new role, with changed options.
func openAs(t *testing.T, owner *pgxpool.Pool, role string, change func(*postgres.Options)) *pgxpool.Pool {
	t.Helper()
	address, err := url.Parse(pgtest.URL(owner))
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.User(role)
	options := postgres.Options{URL: address.String(), Role: "test"}
	change(&options)
	pool, err := postgres.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func TestPasswordIsReadForEachSession(t *testing.T) {
	t.Parallel()
	owner := pgtest.Empty(t)
	pgtest.Exec(t, owner, "CREATE ROLE changing_password LOGIN PASSWORD 'first'")
	var current atomic.Value
	current.Store("first")
	var broken atomic.Bool
	pool := openAs(t, owner, "changing_password", func(o *postgres.Options) {
		o.ReadPassword = func() (string, error) {
			if broken.Load() {
				return "", errors.New("read the file that POSTGRES_PASSWORD_FILE names: no such file")
			}
			return current.Load().(string), nil
		}
	})
	if err := postgres.Ping(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, owner, "ALTER ROLE changing_password PASSWORD 'second'")
	pool.Reset()
	if err := postgres.Ping(t.Context(), pool); err == nil {
		t.Error("the first password is still accepted: the test proves nothing")
	}
	current.Store("second")
	if err := postgres.Ping(t.Context(), pool); err != nil {
		t.Errorf("with the new password: %v", err)
	}
	conn, err := postgres.ConnectUnlimited(t.Context(), pool, nil)
	if err != nil {
		t.Fatalf("outside the pool: %v", err)
	}
	defer conn.Close(t.Context())
	broken.Store(true)
	pool.Reset()
	if err := postgres.Ping(t.Context(), pool); err == nil || !strings.Contains(err.Error(), "POSTGRES_PASSWORD_FILE") {
		t.Errorf("Ping: %v, want an error that names POSTGRES_PASSWORD_FILE", err)
	}
}

// What statements rely on wins over libpq's environment, the connection string, and defaults of the role.
func TestSessionsKeepToTheRulesWhateverTheEnvironment(t *testing.T) {
	owner := pgtest.Database(t)
	t.Setenv("PGTZ", "Asia/Tokyo")
	t.Setenv("PGAPPNAME", "nightly")
	t.Setenv("PGOPTIONS", "-c search_path=nowhere -c datestyle=German -c default_transaction_isolation=serializable -c bytea_output=escape -c standard_conforming_strings=off")
	pgtest.Exec(t, owner, `CREATE ROLE odd_defaults LOGIN PASSWORD 'p'; ALTER ROLE odd_defaults SET datestyle = 'German'; ALTER ROLE odd_defaults SET search_path = nowhere`)
	const settings = `SELECT current_setting('timezone'), current_setting('datestyle'), current_setting('search_path'), current_setting('client_encoding'),
       current_setting('default_transaction_isolation'), current_setting('bytea_output'), current_setting('standard_conforming_strings')`
	for schema, parameters := range map[string]string{
		"public": "",
		"ward_a": "&TimeZone=Asia/Tokyo&DateStyle=German&client_encoding=LATIN1&search_path=nowhere",
	} {
		pool := openAs(t, owner, "odd_defaults", func(o *postgres.Options) {
			o.ReadPassword = func() (string, error) { return "p", nil }
			o.URL += parameters
			if schema != "public" {
				o.Schema = schema
			}
		})
		pgtest.WantRows(t, pool, settings, "UTC ISO, MDY "+schema+" UTF8 read committed hex on")
	}
}

func TestSchemaNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"": true, "ward_7": true, "_x": true, strings.Repeat("x", 63): true, "user": true,
		"Ward": false, "7th": false, "a b": false, "a,b": false, `a"b`: false, "a'b": false, "ä": false, "pg_ward": false, "information_schema": false,
		strings.Repeat("x", 64): false, "ward\n": false,
	} {
		err := postgres.CheckSchema(name)
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "POSTGRES_SCHEMA") {
			t.Errorf("CheckSchema(%q): %v, want it accepted: %t", name, err, want)
		}
		if _, opened := postgres.Open(t.Context(), postgres.Options{Host: "h", Database: "d", User: "u", Schema: name}); (opened == nil) != want {
			t.Errorf("Open in %q: %v, want it accepted: %t", name, opened, want)
		}
	}
}

// A role or database whose transactions are read-only by default stops no process that writes, and protects one that only reads.
func TestReadOnlyDefaultOfARoleOrDatabase(t *testing.T) {
	t.Parallel()
	owner := pgtest.Empty(t)
	pgtest.Exec(t, owner, `CREATE TABLE written (n int)`)
	pgtest.Exec(t, owner, `GRANT ALL ON written TO PUBLIC`)
	pgtest.Exec(t, owner, "CREATE ROLE reading_by_default LOGIN PASSWORD 'p'")
	withPassword := func(o *postgres.Options) { o.ReadPassword = func() (string, error) { return "p", nil } }
	for _, statement := range []string{
		`ALTER ROLE reading_by_default SET default_transaction_read_only = on`,
		`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$`,
	} {
		pgtest.Exec(t, owner, statement)
		writer := openAs(t, owner, "reading_by_default", withPassword)
		if _, err := writer.Exec(t.Context(), `INSERT INTO written VALUES (1)`); err != nil {
			t.Errorf("after %s: %v", statement, err)
		}
		reader := openAs(t, owner, "reading_by_default", func(o *postgres.Options) { withPassword(o); o.KeepReadOnly = true })
		if _, err := reader.Exec(t.Context(), `INSERT INTO written VALUES (2)`); err == nil || !strings.Contains(err.Error(), "25006") {
			t.Errorf("after %s: a pool that keeps the default writes: %v", statement, err)
		}
		pgtest.Exec(t, owner, `ALTER ROLE reading_by_default RESET default_transaction_read_only`)
	}
}

// The sessions of a server that refuses a write are dropped, whoever uses the pool.
func TestSessionsOfAReadOnlyServerAreDropped(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	for range 2 {
		first, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		second, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pid := second.Conn().PgConn().PID()
		if _, err := first.Exec(t.Context(), `SET default_transaction_read_only = on`); err != nil {
			t.Fatal(err)
		}
		if _, err := first.Exec(t.Context(), `CREATE TABLE refused ()`); err == nil || !postgres.Unavailable(err) {
			t.Errorf("a write in a read-only session: %v, want an error that passes", err)
		}
		own := first.Conn().PgConn().PID()
		first.Release()
		second.Release()
		third, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := third.Conn().PgConn().PID(); got == pid || got == own {
			t.Error("a session on the read-only server stays in the pool")
		}
		third.Release()
	}
}
