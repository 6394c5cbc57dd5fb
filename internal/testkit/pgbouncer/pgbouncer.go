// Package pgbouncer runs Debian's PgBouncer in front of a test's PostgreSQL.
//
// It refuses to stand in for it: where the program is missing a test is skipped, and fails under CI=true. A pooler belongs to the test that
// started it and is killed at its end. It is not on the path of a reading.
package pgbouncer

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"heartbeat/internal/port"
	"heartbeat/internal/testkit/freeport"
	"heartbeat/internal/testkit/prerequisite"
)

const (
	binary       = "/usr/sbin/pgbouncer"
	startTimeout = 30 * time.Second
)

// Start runs PgBouncer in front of a server and returns the address of the same database behind it. The mode is session or transaction.
func Start(t testing.TB, database, mode string) (address string) {
	t.Helper()
	if _, err := os.Stat(binary); err != nil {
		prerequisite.Missing(t, "PgBouncer is missing: apt-get install pgbouncer")
	}
	server, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	number := freeport.Port(t)
	arguments := []string{configure(t, server, number, mode)}
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
	server.Host = net.JoinHostPort(port.Host, strconv.Itoa(number))
	waitFor(t, server.Host)
	return server.String()
}

// configure writes PgBouncer's files and returns the path of its settings.
func configure(t testing.TB, server *url.URL, number int, mode string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgbouncer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	settings, users := filepath.Join(dir, "ini"), filepath.Join(dir, "users")
	password, _ := server.User.Password()
	for path, text := range map[string]string{
		users: fmt.Sprintf("%q %q\n", server.User.Username(), password),
		settings: fmt.Sprintf(`[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = %s
listen_port = %d
unix_socket_dir =
auth_type = plain
auth_file = %s
pool_mode = %s
`, server.Hostname(), server.Port(), port.Host, number, users, mode),
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return settings
}

func waitFor(t testing.TB, address string) {
	t.Helper()
	deadline := time.After(startTimeout)
	for {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			connection.Close()
			return
		}
		select {
		case <-deadline:
			t.Fatalf("PgBouncer does not answer: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
