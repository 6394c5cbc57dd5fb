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
