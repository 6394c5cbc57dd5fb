package ingest_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/schema"
)

// startPgBouncer returns a pool whose sessions go through PgBouncer to the database of another pool.
func startPgBouncer(t *testing.T, pool *pgxpool.Pool, mode string) *pgxpool.Pool {
	t.Helper()
	binary := "/usr/sbin/pgbouncer"
	if _, err := os.Stat(binary); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("PgBouncer is missing: apt-get install pgbouncer")
		}
		t.Skip("PgBouncer is missing")
	}
	server, err := url.Parse(pgtest.URL(pool))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	dir, err := os.MkdirTemp("", "pgbouncer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	password, _ := server.User.Password()
	for name, text := range map[string]string{
		"users": fmt.Sprintf("%q %q\n", server.User.Username(), password),
		"ini": fmt.Sprintf(`[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = plain
auth_file = %s
pool_mode = %s
`, server.Hostname(), server.Port(), port, filepath.Join(dir, "users"), mode),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	arguments := []string{filepath.Join(dir, "ini")}
	if os.Getuid() == 0 { // PgBouncer refuses to run as root
		if _, err := user.Lookup("postgres"); err != nil {
			t.Fatal(err)
		}
		arguments = append([]string{"-u", "postgres"}, arguments...)
	}
	process := exec.Command(binary, arguments...)
	process.Stderr = t.Output()
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	server.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	pooled, err := postgres.Open(t.Context(), postgres.Options{URL: server.String(), Role: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pooled.Close)
	pgtest.Await(t, "PgBouncer", func() bool {
		connection, err := net.Dial("tcp", server.Host)
		if err == nil {
			connection.Close()
		}
		return err == nil
	})
	return pooled
}

// PgBouncer refuses start-up parameters that it does not know, and hands a session on to the next client.
func TestPgBouncerInSessionModeWorks(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	pooled := startPgBouncer(t, pool, "session")
	if err := postgres.Ping(t.Context(), pooled); err != nil {
		t.Fatal(err)
	}
	store := ingest.NewStore(pooled, "test")
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(0, 10)))
	pooled.Reset() // the next session meets the statements of the one before, or none
	claim = pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(10, 10)))
	pgtest.WantRows(t, pool, `SELECT count(*) FROM heartbeat_records`, `20`)

	ward := pgtest.InSchema(t, pooled, "ward_a")
	if _, err := schema.Migrate(t.Context(), ward); err != nil {
		t.Fatal(err)
	}
	inWard := pgtest.NewStoreOn(ward)
	pgtest.MustWrite(t, inWard, pgtest.MustClaim(t, inWard, pgtest.Partition, 0), pgtest.BatchOf(pgtest.Readings(0, 30)))
	for range 2 { // both take over the other's server sessions
		pgtest.WantRows(t, ward, `SELECT count(*) FROM heartbeat_records`, `30`)
		ward.Reset()
		pgtest.WantRows(t, pooled, `SELECT count(*) FROM heartbeat_records`, `20`)
		pooled.Reset()
	}
}

func TestPgBouncerInTransactionModeIsRefused(t *testing.T) {
	t.Parallel()
	pooled := startPgBouncer(t, pgtest.Database(t), "transaction")
	if err := postgres.Ping(t.Context(), pooled); err == nil || postgres.Unavailable(err) || !strings.Contains(err.Error(), "set pool_mode = session") {
		t.Errorf("Ping: %v, want that the pooler's mode must change", err)
	}
}
