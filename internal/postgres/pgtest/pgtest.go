// Package pgtest gives each test a PostgreSQL database of its own, freshly migrated, on a real server that is started
// once for each test binary.
//
// It refuses to stand in for PostgreSQL: where no server can be had a test fails. The server does not fsync, so it is no
// place to test what survives the machine. HEARTBEAT_TEST_POSTGRES names the major version, such as 18, which is fetched where
// the machine lacks it; empty takes the newest that the machine has.
//
// All functions may be called by parallel tests. A test binary whose TestMain calls Main stops the server at its end.
package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/embedded/pgserver"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/schema"
)

const (
	template = "heartbeat_template"
	user     = "heartbeat_user"
	password = "heartbeat_pass"
)

// startTimeout has room for fetching a server.
const startTimeout = 5 * time.Minute

// server is the one of this test binary.
var server struct {
	once     sync.Once
	process  *pgserver.Server
	admin    *pgxpool.Pool
	err      error
	database atomic.Int64 // the last one's number
}

// Main runs the tests of a binary and stops the server, if any of them started it. It returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	if server.process == nil {
		return code
	}
	if server.admin != nil {
		server.admin.Close()
	}
	if err := server.process.Stop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Database returns a pool on a database of the test's own with the current schema. Its user is a superuser. Pool and
// database go with the test.
func Database(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return create(t, template)
}

// Empty is like Database without a schema.
func Empty(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return create(t, "template0")
}

// URL returns the address of a pool's database, for what opens its own.
func URL(pool *pgxpool.Pool) string { return pool.Config().ConnString() }

// Admin returns a pool on the server's own database, where its user may do anything. It goes with the test binary.
func Admin(t testing.TB) *pgxpool.Pool {
	t.Helper()
	server.once.Do(start)
	if server.err != nil {
		t.Fatalf("start a server for tests: %v", server.err)
	}
	return server.admin
}

// SignIn returns a pool on the owner's database whose sessions belong to another database user. It goes with the test.
func SignIn(t testing.TB, owner *pgxpool.Pool, user, password string) *pgxpool.Pool {
	t.Helper()
	address, err := url.Parse(URL(owner))
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword(user, password)
	pool, err := postgres.Open(t.Context(), postgres.Options{URL: address.String(), Role: "test", KeepReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if err := postgres.Ping(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	return pool
}

// InSchema returns a pool on the same database whose sessions use a schema of their own. It goes with the test.
func InSchema(t testing.TB, pool *pgxpool.Pool, name string) *pgxpool.Pool {
	t.Helper()
	own, err := postgres.Open(t.Context(), postgres.Options{URL: URL(pool), Schema: name, Role: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Close)
	return own
}

// Exec runs a statement that must succeed.
func Exec(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Value returns the single value that a query gives.
func Value[T any](t testing.TB, pool *pgxpool.Pool, sql string, args ...any) T {
	t.Helper()
	var value T
	if err := pool.QueryRow(t.Context(), sql, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func create(t testing.TB, from string) *pgxpool.Pool {
	t.Helper()
	admin := Admin(t)
	name := fmt.Sprintf("test_%d", server.database.Add(1))
	Exec(t, admin, "CREATE DATABASE "+name+" TEMPLATE "+from)
	pool, err := open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close()
		// The test's context has ended by now.
		if _, err := admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return pool
}

func start() {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server.process, server.err = pgserver.Start(ctx, pgserver.Options{
		Database: template, User: user, Password: password, Superuser: true,
		Version: os.Getenv("HEARTBEAT_TEST_POSTGRES"),
		Settings: map[string]string{
			"fsync": "off", "full_page_writes": "off", "max_connections": "200", "max_wal_size": "256MB",
		},
	})
	if server.err == nil {
		server.err = migrate(ctx)
	}
	if server.err == nil {
		server.admin, server.err = open(ctx, "postgres")
	}
}

func migrate(ctx context.Context) error {
	pool, err := open(ctx, template)
	if err != nil {
		return err
	}
	defer pool.Close() // a template database may have no connections
	_, err = schema.Migrate(ctx, pool)
	return err
}

func open(ctx context.Context, database string) (*pgxpool.Pool, error) {
	address, err := url.Parse(server.process.URL())
	if err != nil {
		return nil, err
	}
	address.Path = "/" + database
	return postgres.Open(ctx, postgres.Options{URL: address.String(), Role: "test"})
}
