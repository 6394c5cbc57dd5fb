package pgserver

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/embedded/datadir"
	"heartbeat/internal/port"
	"heartbeat/internal/testkit/prerequisite"
)

func testOptions(dir string) Options {
	return Options{
		Dir: dir, Database: "heartbeat_db", User: "heartbeat_user", Password: "it's a pass",
		Settings: map[string]string{"max_connections": "20"},
	}
}

func startTest(t *testing.T, options Options) *Server {
	t.Helper()
	options.Logger = testLogger(t)
	p, err := Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopTest(t, p) })
	return p
}

func stopTest(t *testing.T, p *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// query runs one statement and returns the first value as text.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var value string
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

const (
	fill  = `CREATE TABLE beats AS SELECT generate_series(1, 1000) AS n`
	count = `SELECT count(*)::text FROM beats`
)

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestPostgresKeepsItsData(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "18"} {
		t.Run("version "+version, func(t *testing.T) {
			t.Parallel()
			// Longer than the path of a Unix socket may be.
			options := testOptions(filepath.Join(directory(t), "a "+strings.Repeat("long ", 30)+"path"))
			options.Version = version
			p := startTest(t, options)
			if !strings.HasPrefix(p.Version, version) {
				t.Errorf("Version = %q, want %q", p.Version, version)
			}
			if got := query(t, p.URL(), "SHOW server_version"); !strings.HasPrefix(got, p.Version) {
				t.Errorf("the server says it is %q, Version %q", got, p.Version)
			}
			execute(t, p.URL(), fill)
			stopTest(t, p)
			if err := p.Err(); err != nil {
				t.Errorf("Err() after Stop = %v", err)
			}

			options.Version = "" // what is on disk decides
			again := startTest(t, options)
			if got := query(t, again.URL(), count); got != "1000" {
				t.Errorf("after a restart there are %s rows, want 1000", got)
			}
			if again.Version != p.Version {
				t.Errorf("restarted with version %s on data of %s", again.Version, p.Version)
			}
		})
	}
}

func TestPostgresIsPrivate(t *testing.T) {
	t.Parallel()
	options := testOptions("")
	options.Superuser = true // may see every setting
	p := startTest(t, options)
	for sql, want := range map[string]string{
		"SHOW listen_addresses":        "127.0.0.1",
		"SHOW unix_socket_directories": "",
		"SHOW fsync":                   "on",
		"SHOW synchronous_commit":      "on",
		"SHOW max_connections":         "20",
		"SHOW server_encoding":         "UTF8",
		"SELECT datcollate FROM pg_database WHERE datname = current_database()":                     locale(),
		"SELECT string_agg(DISTINCT auth_method, ' ') FROM pg_hba_file_rules":                       "scram-sha-256",
		"SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'heartbeat_db'": "heartbeat_user",
	} {
		if got := query(t, p.URL(), sql); got != want {
			t.Errorf("%s = %q, want %q", sql, got, want)
		}
	}
	stranger := *p
	stranger.Password = "wrong"
	if conn, err := pgx.Connect(t.Context(), stranger.URL()); err == nil {
		conn.Close(t.Context())
		t.Error("a wrong password was let in")
	}
	if line := commandLine(p.process.Pid()); strings.Contains(line, p.Password) {
		t.Errorf("the password is in the command line %q", line)
	}
}

func TestPostgresDoesNotRunAsRoot(t *testing.T) {
	t.Parallel()
	p := startTest(t, testOptions(""))
	if got := owner(t, p.process.Pid()); got == 0 {
		t.Error("the server runs as root")
	}
	if os.Geteuid() != 0 {
		return
	}
	// Existing data keeps its owner.
	dir := directory(t)
	if err := os.Chown(dir, fallbackUID, fallbackUID); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(data, fallbackUID, fallbackUID); err != nil {
		t.Fatal(err)
	}
	asUnprivilegedUser := startTest(t, testOptions(dir))
	if got := owner(t, asUnprivilegedUser.process.Pid()); got != fallbackUID {
		t.Errorf("the server on data of user %d runs as user %d", fallbackUID, got)
	}
}

// owner returns the user that a process runs as.
func owner(t *testing.T, pid int) int {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "ps", "-o", "uid=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(strings.TrimSpace(string(output)))
	if err != nil {
		t.Fatal(err)
	}
	return uid
}

func TestPostgresRefusesADirectoryItsUserCannotReach(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		prerequisite.Missing(t, "only root runs the server as another user")
	}
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := Start(t.Context(), testOptions(filepath.Join(closed, "data")))
	if err == nil {
		stopTest(t, p)
	}
	if err == nil || !strings.Contains(err.Error(), "cannot pass") || !strings.Contains(err.Error(), datadir.Root) {
		t.Errorf("start below a closed directory: %v, want an error that names it and a place that works", err)
	}
}

func TestPostgresOnATakenPort(t *testing.T) {
	t.Parallel()
	listener, err := port.Listen(0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := listener.Addr().(*net.TCPAddr).Port

	asked := testOptions("")
	asked.Port, asked.PortAsked = taken, true
	if p, err := Start(t.Context(), asked); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("port %d is in use", taken)) {
		if err == nil {
			stopTest(t, p)
		}
		t.Errorf("asked for port %d, which is taken: got %v, want an error that says so", taken, err)
	}

	asked.PortAsked = false
	p := startTest(t, asked)
	if p.Port <= taken {
		t.Errorf("default port %d is taken: got %d, want a later one", taken, p.Port)
	}
	if got := query(t, p.URL(), "SHOW port"); got != strconv.Itoa(p.Port) {
		t.Errorf("the server listens on %s, Port is %d", got, p.Port)
	}
}

func TestPostgresTakesOnNewNamesAndPasswords(t *testing.T) {
	t.Parallel()
	options := testOptions(directory(t))
	stopTest(t, startTest(t, options))
	options.Password, options.User, options.Database = `new'"\ pass`, "o'hara", `other "db"`
	p := startTest(t, options)
	if got := query(t, p.URL(), "SELECT current_user || ' ' || current_database()"); got != `o'hara other "db"` {
		t.Errorf("connected as %s", got)
	}
	for _, bad := range []string{"", "two\nlines"} {
		options.Password = bad
		if _, err := Start(t.Context(), options); err == nil || !strings.Contains(err.Error(), "password") {
			t.Errorf("password %q: %v, want an error that names it", bad, err)
		}
	}
}

func TestPostgresRefusesDataOfAnotherVersion(t *testing.T) {
	t.Parallel()
	options := testOptions(directory(t))
	p := startTest(t, options)
	stopTest(t, p)
	options.Version = "18"
	if majorOf(p.Version) == options.Version {
		options.Version = "17"
	}
	if _, err := Start(t.Context(), options); err == nil || !strings.Contains(err.Error(), "version "+majorOf(p.Version)) {
		t.Errorf("version %s on data of version %s: %v, want an error that names both", options.Version, p.Version, err)
	}
}

func TestADataDirectoryServesOnePostgres(t *testing.T) {
	t.Parallel()
	options := testOptions(directory(t))
	p := startTest(t, options)
	if _, err := Start(t.Context(), options); err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("second start: %v, want an error that names the process", err)
	}
	if got := query(t, p.URL(), "SELECT 'alive'"); got != "alive" {
		t.Error("the second start disturbed the first")
	}
}

func TestPostgresThatDiesIsNoticedAndStartsAgain(t *testing.T) {
	t.Parallel()
	options := testOptions(directory(t))
	p := startTest(t, options)
	execute(t, p.URL(), fill)
	if err := syscall.Kill(p.process.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("Done is open 20 s after the server was killed")
	}
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Err() = %v, want that it was killed", err)
	}
	again := startTest(t, options)
	if got := query(t, again.URL(), count); got != "1000" {
		t.Errorf("after a crash there are %s rows, want 1000", got)
	}
}

func TestATemporaryPostgresLeavesNothing(t *testing.T) {
	t.Parallel()
	options := testOptions("")
	options.Superuser = true // may see where the data are
	p := startTest(t, options)
	dir := query(t, p.URL(), "SHOW data_directory")
	stopTest(t, p)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s after Stop: %v, want that it does not exist", dir, err)
	}
}

func TestRemovedDataIsGone(t *testing.T) {
	t.Parallel()
	options := testOptions(directory(t))
	p := startTest(t, options)
	execute(t, p.URL(), fill)
	if err := Remove(t.Context(), options.Dir, testLogger(t)); err == nil {
		t.Error("the data of a running server was removed")
	}
	stopTest(t, p)
	left := leaveBehind(t, options)
	if err := Remove(t.Context(), options.Dir, testLogger(t)); err != nil {
		t.Fatal(err)
	}
	if runs(left) {
		t.Errorf("process %d still runs on removed data", left)
	}
	again := startTest(t, options)
	if got := query(t, again.URL(), "SELECT coalesce(to_regclass('beats')::text, 'nothing')"); got != "nothing" {
		t.Errorf("after the data were removed there is %s", got)
	}
}
