package e2e_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/embedded/pgserver"
)

// startTimeout includes downloading a server.
const startTimeout = 5 * time.Minute

// postgresServer is a PostgreSQL that the tests started.
type postgresServer struct {
	options pgserver.Options
	server  *pgserver.Server
}

// shared are the servers of this test run, each started by the first test that needs it.
var shared struct {
	database struct {
		once   sync.Once
		server *postgresServer
		err    error
	}
	broker struct {
		once   sync.Once
		server broker
		err    error
	}
	postgresVersion atomic.Value // string, of the server started last
	names           atomic.Int64
}

func stopShared() {
	if s := shared.database.server; s != nil {
		s.stop()
	}
	if s := shared.broker.server; shared.broker.err == nil && s != nil {
		s.stop()
	}
}

func startPostgres(settings map[string]string) (*postgresServer, error) {
	dir, err := os.MkdirTemp(scratch, "postgres-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	all := map[string]string{"max_connections": "200"}
	for name, value := range settings {
		all[name] = value
	}
	s := &postgresServer{options: pgserver.Options{
		Dir: dir, Database: "heartbeat_db", User: "heartbeat_user", Password: "heartbeat_pass", Superuser: true,
		Version: os.Getenv("HEARTBEAT_TEST_POSTGRES"), Settings: all,
	}}
	return s, s.start()
}

// start starts the server, on the same data and port as before.
func (s *postgresServer) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server, err := pgserver.Start(ctx, s.options)
	if err != nil {
		return err
	}
	s.server = server
	shared.postgresVersion.Store(server.Version)
	s.options.Port, s.options.PortAsked = server.Port, true
	return nil
}

func (s *postgresServer) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = s.server.Stop(ctx) // its files are in the scratch directory
}

// crash stops the server as `pg_ctl stop -m immediate` does: without a checkpoint and without ending its sessions.
func (s *postgresServer) crash(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.options.Dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	await(t, waitTimeout, func() string {
		if syscall.Kill(pid, 0) == nil {
			return "PostgreSQL still runs after an immediate stop"
		}
		return ""
	})
	s.stop() // unlocks the directory
}

// restart starts a crashed server again.
func (s *postgresServer) restart(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// sharedDatabase returns the server that tests share. It runs without fsync: its data survive a crash of the server, not of the machine.
func sharedDatabase(t testing.TB) *postgresServer {
	t.Helper()
	s := &shared.database
	s.once.Do(func() {
		s.server, s.err = startPostgres(map[string]string{"fsync": "off", "full_page_writes": "off", "max_wal_size": "512MB"})
	})
	if s.err != nil {
		t.Fatalf("start PostgreSQL for the tests: %v", s.err)
	}
	return s.server
}

// ownDatabase returns a server for one test, with full durability.
func ownDatabase(t testing.TB, settings map[string]string) *postgresServer {
	t.Helper()
	server, err := startPostgres(settings)
	if err != nil {
		t.Fatalf("start PostgreSQL for the test: %v", err)
	}
	t.Cleanup(server.stop)
	return server
}

// create makes an empty database and returns its address.
func (s *postgresServer) create(t testing.TB) string {
	t.Helper()
	admin := connect(t, s.url("postgres"))
	name := fmt.Sprintf("e2e_%d", shared.names.Add(1))
	if _, err := admin.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create database: %v", err)
	}
	return s.url(name)
}

func (s *postgresServer) url(database string) string {
	address := url.URL{
		Scheme: "postgres", User: url.UserPassword(s.options.User, s.options.Password),
		Host: "127.0.0.1:" + strconv.Itoa(s.options.Port), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return address.String()
}

// connect returns a pool that is closed with the test.
func connect(t testing.TB, address string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), address)
	if err != nil {
		t.Fatalf("connect to database: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}
