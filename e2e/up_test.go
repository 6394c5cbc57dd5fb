package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	embedded "heartbeat/internal/embedded/broker"
	"heartbeat/internal/embedded/datadir"
	"heartbeat/internal/embedded/pgserver"
	"heartbeat/internal/testkit/freeport"
)

// unprivilegedUser is a user without rights, for tests that run as root.
const unprivilegedUser = 65534

// system is `heartbeat up` on its own data directory.
type system struct {
	t               testing.TB
	dir             string
	kafka, postgres int // ports
	credential      *syscall.Credential
}

func newSystem(t testing.TB) *system {
	t.Helper()
	return &system{t: t, dir: openDir(t), kafka: freeport.Port(t), postgres: freeport.Port(t)}
}

// openDir returns a directory that any user may enter and that is removed after the test run.
func openDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "data-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// asUnprivilegedUser lets another user own and run the system, where the tests run as root.
func (s *system) asUnprivilegedUser() {
	s.t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	s.credential = &syscall.Credential{Uid: unprivilegedUser, Gid: unprivilegedUser}
	if err := os.Chown(s.dir, unprivilegedUser, unprivilegedUser); err != nil {
		s.t.Fatal(err)
	}
}

// up starts the system.
func (s *system) up(more ...string) *role {
	s.t.Helper()
	return start(s.t, command{
		arguments: append([]string{"up", "--data-dir", s.dir, "--kafka-port", strconv.Itoa(s.kafka),
			"--postgres-port", strconv.Itoa(s.postgres), "--listen", "127.0.0.1:0"}, more...),
		credential: s.credential, home: s.dir,
	})
}

func (s *system) broker() string { return "127.0.0.1:" + strconv.Itoa(s.kafka) }

func (s *system) database() string {
	return fmt.Sprintf("postgres://heartbeat_user:heartbeat_pass@127.0.0.1:%d/heartbeat_db?sslmode=disable", s.postgres)
}

// fixture returns a fixture on the running or opened system.
func (s *system) fixture() *fixture {
	return &fixture{t: s.t, broker: s.broker(), topic: "heartbeat-events", group: "heartbeat-consumer-group", database: s.database(), pool: connect(s.t, s.database())}
}

// audit starts the servers of a stopped system without producers, drains the topic and audits.
func (s *system) audit(ackLogs ...string) topicContents {
	s.t.Helper()
	ctx := s.t.Context()
	broker, err := embedded.Start(ctx, embedded.Options{Dir: filepath.Join(s.dir, "broker"), Port: s.kafka, PortAsked: true})
	if err != nil {
		s.t.Fatalf("open what up left: %v", err)
	}
	defer embeddedBroker{broker}.stop()
	database := postgresServer{options: pgserver.Options{
		Dir: filepath.Join(s.dir, "postgres"), Port: s.postgres, PortAsked: true,
		Database: "heartbeat_db", User: "heartbeat_user", Password: "heartbeat_pass",
	}}
	if err := database.start(); err != nil {
		s.t.Fatalf("open what up left: %v", err)
	}
	defer database.stop()
	f := s.fixture()
	defer f.pool.Close()
	f.ackLogs = ackLogs
	f.drain("--retention", "24h")
	return f.audit()
}

// A second run of `up` continues where the first ended.
func TestUpTwiceOnTheSameData(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P2")
	s := newSystem(t)
	began := time.Now()
	first := s.up("--duration", "20s")
	first.waitForOutput("Heartbeat is up")
	f := s.fixture()
	await(t, waitTimeout, func() string {
		var n int64
		if err := f.pool.QueryRow(t.Context(), `SELECT count(*) FROM heartbeat_records`).Scan(&n); err != nil || n == 0 {
			return fmt.Sprintf("%d readings stored (%v)", n, err)
		}
		return ""
	})
	t.Logf("first stored reading after %v, the database created", time.Since(began).Round(time.Millisecond))
	first.waitForOutput("*** ANOMALY ALERT ***")
	first.waitForOutput("Stats | valid=")
	first.succeed(waitTimeout)
	first.waitForOutput("Stored in ")
	s.wantNothingLeft()
	after := s.audit()
	if len(after.records) < 10_000 {
		t.Errorf("%d events in 20 s, want about 2,000 a second", len(after.records))
	}

	began = time.Now()
	second := s.up()
	second.waitForOutput("Heartbeat is up")
	f = s.fixture()
	await(t, waitTimeout, func() string {
		var n int64
		if err := f.pool.QueryRow(t.Context(), `SELECT sum(next_offset)::bigint FROM ingest_progress`).Scan(&n); err != nil || n <= int64(len(after.records)) {
			return fmt.Sprintf("%d offsets stored (%v), as many as before", n, err)
		}
		return ""
	})
	t.Logf("first new reading of the second run after %v", time.Since(began).Round(time.Millisecond))
	f.verify()
	second.interrupt()
	s.wantNothingLeft()
	if again := s.audit(); len(again.records) <= len(after.records) {
		t.Errorf("%d events after the second run and %d after the first", len(again.records), len(after.records))
	}
}

// `up` works for a user without rights.
func TestUpAsUnprivilegedUser(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.asUnprivilegedUser()
	run := s.up("--duration", "5s")
	run.succeed(waitTimeout)
	run.waitForOutput("Stored in ")
	s.wantNothingLeft()
	if read := s.audit(); len(read.records) == 0 {
		t.Error("nothing was stored")
	}
}

// A second `up` on the same data is refused and changes nothing.
func TestSecondUpIsRefused(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	first := s.up("--rate", "100")
	first.waitForOutput("Heartbeat is up")
	second := s.up()
	if code := second.wait(waitTimeout); code != 1 {
		t.Errorf("the second up ended with code %d, want 1", code)
	}
	if text := second.output.String(); !strings.Contains(text, s.dir) || !strings.Contains(text, strconv.Itoa(first.cmd.Process.Pid)) {
		t.Errorf("the second up does not name the directory and the process that has it:\n%s", text)
	}
	first.interrupt()
	s.wantNothingLeft()
}

// startUpPoints is the number of moments of the start at which the system is interrupted.
const startUpPoints = 10

// Ctrl-C at any moment of the start leaves no process and no lock, and the next start continues with the data.
func TestInterruptedStartLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	began := time.Now()
	s.up("--duration", "1s").succeed(waitTimeout)
	whole := time.Since(began)
	for point := range startUpPoints {
		var options []string
		if point%2 == 0 {
			options = append(options, "--fresh")
		}
		interrupted := s.up(options...)
		elapse(t, whole*time.Duration(point)/startUpPoints)
		interrupted.signal(syscall.SIGINT)
		if code := interrupted.wait(waitTimeout); code != 0 && code != -1 { // −1: the signal came before the handler was installed
			t.Errorf("point %d of %d: ended with code %d:\n%s", point, startUpPoints, code, tail(interrupted.output.String(), 20))
		}
		s.wantNothingLeft()
	}
	s.up("--duration", "2s").succeed(waitTimeout)
	s.audit()
}

// `up` is killed under load repeatedly. The next start finds the orphaned database, and everything that was acknowledged
// to a producer in another process is stored.
func TestKilledUpLosesNothing(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P2")
	s := newSystem(t)
	run := s.up("--rate", "500")
	run.waitForOutput("Heartbeat is up")
	ackLog := filepath.Join(t.TempDir(), "acknowledged")
	producer := start(t, command{arguments: []string{"produce", "--brokers", s.broker(), "--rate", "1000", "--ack-log", ackLog}})
	for range 3 {
		f := s.fixture()
		f.storedMore(3_000)
		f.pool.Close()
		run.kill()
		run = s.up("--rate", "500")
		run.waitForOutput("Heartbeat is up")
	}
	f := s.fixture()
	f.storedMore(3_000)
	producer.interrupt()
	f.caughtUp(waitTimeout)
	f.verify()
	f.pool.Close()
	run.interrupt()
	s.wantNothingLeft()
	s.audit(ackLog)
	if acknowledged := readAckLog(t, ackLog); len(acknowledged) < 3_000 {
		t.Errorf("%d events acknowledged, too few to prove anything", len(acknowledged))
	}
}

// wantNothingLeft checks that no process uses the data directory and that it is unlocked.
func (s *system) wantNothingLeft() {
	s.t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, process := range processes {
		text, _ := os.ReadFile(process) // it may have ended
		if strings.Contains(string(text), s.dir) {
			s.t.Errorf("%s is left behind: %s", filepath.Dir(process), strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	for _, dir := range []string{s.dir, filepath.Join(s.dir, "postgres"), filepath.Join(s.dir, "broker")} {
		release, err := datadir.Lock(dir)
		if err != nil {
			s.t.Errorf("a lock is left behind: %v", err)
			continue
		}
		if err := release(); err != nil {
			s.t.Error(err)
		}
	}
}

// Stock clients find the names, ports and password of the contract.
func TestStockClientsWorkAgainstUp(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	run := start(t, command{arguments: []string{"up", "--data-dir", dir, "--listen", "127.0.0.1:0"}, home: dir})
	run.waitForOutput("Ctrl-C stops everything in order")
	run.waitForOutput("*** ANOMALY ALERT ***")
	text := run.output.String()
	kafka, database := portOf(t, text, `Kafka +[^ ]*:(\d+),`), portOf(t, text, `PostgreSQL +[^ ]*:(\d+),`)
	wantDefaultPort(t, text, kafka, 9092)
	wantDefaultPort(t, text, database, 5433)
	query := func(sql string) string {
		psql := exec.CommandContext(t.Context(), "psql", "-h", "localhost", "-p", strconv.Itoa(database), "-U", "heartbeat_user", "-d", "heartbeat_db", "-v", "ON_ERROR_STOP=1", "-Atc", sql)
		psql.Env = append(os.Environ(), "PGPASSWORD=heartbeat_pass")
		output, err := psql.CombinedOutput()
		if err != nil {
			t.Fatalf("psql %q: %v\n%s", sql, err, output)
		}
		return strings.TrimSpace(string(output))
	}
	for _, sql := range []string{
		`SELECT * FROM vw_pipeline_summary`, `SELECT * FROM vw_recent_anomalies LIMIT 10`, `SELECT customer_id, minute_bucket, avg_bpm, min_bpm, max_bpm, reading_count FROM vw_customer_bpm_summary LIMIT 10`,
		`SELECT record_id, customer_id, heart_rate, event_timestamp, ingestion_timestamp FROM heartbeat_records ORDER BY event_timestamp DESC LIMIT 5`,
		`SELECT metric_name, metric_value, metric_unit, recorded_at FROM pipeline_metrics ORDER BY recorded_at DESC LIMIT 5`,
		`SELECT metric_name, count(*) FROM pipeline_metrics WHERE metric_name LIKE 'alert_%' GROUP BY 1`,
	} {
		if query(sql) == "" {
			t.Errorf("psql %q: no rows", sql)
		}
	}
	for _, sql := range []string{
		`SELECT * FROM heartbeat_records WHERE heart_rate NOT BETWEEN 40 AND 180 LIMIT 1`,
		`SELECT kafka_topic, kafka_partition, kafka_offset FROM heartbeat_records GROUP BY 1, 2, 3 HAVING count(*) > 1`,
		`SELECT DISTINCT anomaly_type FROM heartbeat_anomalies WHERE anomaly_type NOT IN ('BRADYCARDIA', 'TACHYCARDIA', 'INVALID')`,
	} {
		if rows := query(sql); rows != "" {
			t.Errorf("psql %q: want nothing, have %s", sql, rows)
		}
	}
	line := tool(t, "kcat", "-C", "-b", "localhost:"+strconv.Itoa(kafka), "-t", "heartbeat-events", "-o", "beginning", "-c", "1", "-q")
	if !json.Valid([]byte(line)) {
		t.Errorf("kcat reads %q", line)
	}
	run.interrupt()
}

func portOf(t testing.TB, text, pattern string) int {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("the banner has nothing like %s:\n%s", pattern, text)
	}
	number, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// wantDefaultPort checks for the contract's port, or a message that it is taken.
func wantDefaultPort(t testing.TB, text string, have, want int) {
	t.Helper()
	if have != want && !strings.Contains(text, fmt.Sprintf("wanted=%d", want)) {
		t.Errorf("port %d is used, want %d or a message that it is taken", have, want)
	}
}
