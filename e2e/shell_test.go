package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

// marker stands for a secret that no output may show.
const marker = "SwordfishMarker"

// inShell runs `up` as a shell with a strict umask and variables for other servers does.
func (s *system) inShell(environment []string, more ...string) *role {
	s.t.Helper()
	arguments := append([]string{"-c", `umask 077; exec "$0" "$@"`, binary, "up", "--data-dir", s.dir, "--kafka-port", strconv.Itoa(s.kafka),
		"--postgres-port", strconv.Itoa(s.postgres), "--listen", "127.0.0.1:0"}, more...)
	return start(s.t, command{binary: "/bin/sh", arguments: arguments, environment: environment, home: s.dir, credential: s.credential})
}

// A strict umask, variables of libpq for another server and a password of the user's own change nothing, and the password
// appears in no output.
func TestUpInAnOrdinaryShell(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.dir = filepath.Join(s.dir, "below", "data") // created under the umask
	environment := []string{
		"PGHOST=192.0.2.1", "PGPORT=1", "PGSSLMODE=verify-full", "PGSSLROOTCERT=/nowhere/root.pem", "PGSERVICE=elsewhere", "PGSERVICEFILE=/nowhere",
		"PGOPTIONS=-c search_path=nowhere", "PGUSER=nobody", "PGDATABASE=nothing", "PGPASSFILE=/nowhere", "PGDATA=/nowhere",
		"PGTARGETSESSIONATTRS=standby", "PGCONNECT_TIMEOUT=soon", "PGAPPNAME=other", "PGTZ=Mars/Base",
		"POSTGRES_PASSWORD=" + marker, "LOG_LEVEL=DEBUG",
	}
	s.inShellHome()
	run := s.inShell(environment, "--rate", "500")
	run.waitForOutput("Heartbeat is up")
	pool := connect(t, strings.Replace(s.database(), "heartbeat_pass", marker, 1))
	await(t, waitTimeout, func() string {
		if value[int64](t, pool, `SELECT count(*) FROM heartbeat_records`) == 0 {
			return "nothing is stored"
		}
		return ""
	})
	if _, err := pool.Exec(t.Context(), `COPY (SELECT 1) TO PROGRAM 'true'`); err == nil {
		t.Error("heartbeat_user may run programs as the server's account")
	}
	s.wantClosedFiles()
	pool.Close()
	run.interrupt()
	if strings.Contains(run.output.String(), marker) {
		t.Errorf("the output shows the password:\n%s", run.output.String())
	}
	s.wantNothingLeft()
}

// inShellHome makes the directory that the process starts in.
func (s *system) inShellHome() {
	s.t.Helper()
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
}

// wantClosedFiles wants the data of broker and database closed to other users.
func (s *system) wantClosedFiles() {
	s.t.Helper()
	files := 0
	for _, part := range []string{"broker", "postgres"} {
		err := filepath.WalkDir(filepath.Join(s.dir, part), func(path string, entry fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil // servers remove files
			}
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				s.t.Errorf("%s has mode %v: others may use it", path, info.Mode())
			}
			files++
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	if files < 100 {
		s.t.Errorf("looked at %d files, too few to be a broker's and a database's", files)
	}
}

// startWithPipe starts the product with its output in a pipe, and returns the reader's end.
func startWithPipe(t testing.TB, c command) (*role, *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.output = writer
	r := start(t, c)
	writer.Close()
	return r, reader
}

// readUntil reads from a pipe until the text has come.
func readUntil(t testing.TB, reader *os.File, text string) {
	t.Helper()
	var read strings.Builder
	part := make([]byte, 4096)
	for !strings.Contains(read.String(), text) {
		n, err := reader.Read(part)
		if err != nil {
			t.Fatalf("read until %q: %v\n%s", text, err, read.String())
		}
		read.Write(part[:n])
	}
}

// `up 2>&1 | tee` and Ctrl-C ends tee first; a terminal that is closed sends a hangup. Either way everything stops in order.
func TestUpStopsInOrderWithoutAReader(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"interrupt": syscall.SIGINT, "hangup": syscall.SIGHUP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			run, reader := startWithPipe(t, command{
				arguments: []string{"up", "--data-dir", s.dir, "--kafka-port", strconv.Itoa(s.kafka),
					"--postgres-port", strconv.Itoa(s.postgres), "--listen", "127.0.0.1:0", "--rate", "500"},
				home: s.dir,
			})
			readUntil(t, reader, "Heartbeat is up")
			reader.Close()
			f := s.fixture()
			f.storedMore(1_000) // the process lives on
			f.pool.Close()
			run.signal(signal)
			run.succeed(waitTimeout)
			s.wantNothingLeft()
			if _, err := os.Stat(filepath.Join(s.dir, "postgres", "data", "postmaster.pid")); !os.IsNotExist(err) {
				t.Errorf("the database was not shut down (%v)", err)
			}
			if read := s.audit(); len(read.records) < 1_000 {
				t.Errorf("%d events after the stop, want 1,000 or more", len(read.records))
			}
		})
	}
}

// A consumer whose output has no reader leaves its group when it is asked to stop, so that others take over at once.
func TestConsumerHandsOverWithoutAReader(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	producer := f.produce("--rate", "1000", "--seed", "71")
	consumer, reader := startWithPipe(t, command{arguments: f.consumeArguments(), environment: []string{"DATABASE_URL=" + f.database}})
	other := f.consume()
	f.awaitOwners(2)
	reader.Close()
	f.storedMore(2_000)
	consumer.signal(syscall.SIGINT)
	consumer.succeed(waitTimeout)
	groups, err := kadm.NewClient(client(t, f.broker)).DescribeGroups(t.Context(), f.group)
	if err != nil {
		t.Fatal(err)
	}
	if members := groups[f.group].Members; len(members) != 1 {
		t.Errorf("%d members are in the group after one of two has stopped", len(members))
	}
	producer.interrupt()
	f.caughtUp(waitTimeout)
	other.interrupt()
	auditSending(t, f.audit())
}
