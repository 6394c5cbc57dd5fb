package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/testkit/fakekafka"
)

// beTheBinary makes the test binary run main instead of tests, so that variables, .env, signals and exit codes are real.
const beTheBinary = "HEARTBEAT_TEST_RUN_MAIN"

// waitTimeout bounds conditions that normally hold within a second: the machine may be busy.
const waitTimeout = time.Minute

// shortExit keeps the race detector from its default of a second's sleep at each exit.
const shortExit = "GORACE=atexit_sleep_ms=50"

func TestMain(m *testing.M) {
	if os.Getenv(beTheBinary) != "" {
		main()
		return
	}
	os.Exit(pgtest.Main(m))
}

// program is a run of the binary in a directory of its own.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr watchedBuffer
}

// prepare sets up a run with no variables but the given ones.
func prepare(t *testing.T, variables []string, args ...string) *program {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	t.Cleanup(cancel)
	p := &program{t: t, cmd: exec.CommandContext(ctx, executable, args...), stderr: watchedBuffer{more: make(chan struct{}, 1)}}
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append([]string{beTheBinary + "=1", shortExit}, variables...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	return p
}

func (p *program) dotEnv(text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.cmd.Dir, ".env"), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) start() {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns the exit code.
func (p *program) wait() int {
	p.t.Helper()
	err := p.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return 0
}

func (p *program) run() int {
	p.t.Helper()
	p.start()
	return p.wait()
}

func (p *program) signal() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
}

// await waits until the process has written text to its standard error.
func (p *program) await(text string) {
	p.t.Helper()
	deadline := time.After(waitTimeout)
	for !strings.Contains(p.stderr.String(), text) {
		select {
		case <-p.stderr.more:
		case <-deadline:
			p.t.Fatalf("no %q within %v:\n%s", text, waitTimeout, p.stderr.String())
		}
	}
}

// watchedBuffer tells when it has grown.
type watchedBuffer struct {
	mu    sync.Mutex // guards bytes
	bytes bytes.Buffer
	more  chan struct{}
}

func (b *watchedBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default:
	}
	return b.bytes.Write(text)
}

func (b *watchedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.String()
}

func TestUsageErrorsExitWith2AndSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		variables []string
		args      []string
		want      []string
	}{
		{"unknown command", nil, []string{"prodce"}, []string{`"produce"`, "--help"}},
		{"unknown flag", nil, []string{"produce", "--rat=1"}, []string{`"--rate"`, "--help"}},
		{"anomaly rate", []string{"ANOMALY_INJECTION_RATE=1.5"}, []string{"produce"}, []string{"ANOMALY_INJECTION_RATE", "1.5", "0 to 1"}},
		{"invalid rate", []string{"INVALID_INJECTION_RATE=-0.1"}, []string{"produce"}, []string{"INVALID_INJECTION_RATE", "-0.1", "0 to 1"}},
		{"anomaly rate by flag", nil, []string{"produce", "--anomaly-rate=NaN"}, []string{"ANOMALY_INJECTION_RATE", "NaN"}},
		{"customers", []string{"CUSTOMER_POOL_SIZE=10000001"}, []string{"produce"}, []string{"CUSTOMER_POOL_SIZE", "10000001"}},
		{"no number", []string{"CUSTOMER_POOL_SIZE=many"}, []string{"produce"}, []string{"CUSTOMER_POOL_SIZE", "many"}},
		{"workers", []string{"PRODUCER_WORKERS=0"}, []string{"produce"}, []string{"PRODUCER_WORKERS", "0"}},
		{"interval", []string{"GENERATION_INTERVAL_SECONDS=0"}, []string{"produce"}, []string{"GENERATION_INTERVAL_SECONDS", "0"}},
		{"interval too short to be one", []string{"GENERATION_INTERVAL_SECONDS=1e-12"}, []string{"produce"}, []string{"GENERATION_INTERVAL_SECONDS", "1e-12"}},
		{"rate", nil, []string{"produce", "--rate=-1"}, []string{"--rate", "-1"}},
		{"brokers", []string{"KAFKA_BOOTSTRAP_SERVERS=kafka-1:9092,kafka-2"}, []string{"produce"}, []string{"KAFKA_BOOTSTRAP_SERVERS", "kafka-1:9092,kafka-2"}},
		{"topic", []string{"KAFKA_TOPIC=heart/beat"}, []string{"produce"}, []string{"KAFKA_TOPIC", "heart/beat"}},
		{"compression", nil, []string{"produce", "--compression=brotli"}, []string{"--compression", "brotli", "zstd"}},
		{"log level", []string{"LOG_LEVEL=LOUD"}, []string{"version"}, []string{"LOG_LEVEL", "LOUD", "WARNING"}},
		{"group by flag", nil, []string{"consume", "--group="}, []string{"KAFKA_GROUP_ID", "empty"}},
		{"port", []string{"POSTGRES_PORT=0"}, []string{"consume"}, []string{"POSTGRES_PORT", "0", "1 to 65535"}},
		{"port of the console's database", []string{"POSTGRES_PORT=0"}, []string{"serve"}, []string{"POSTGRES_PORT", "0", "1 to 65535"}},
		{"export of whose readings", nil, []string{"export"}, []string{"one of --customer, --cohort and --all"}},
		{"export of two kinds", nil, []string{"export", "--all", "--cohort", "ward"}, []string{"--cohort", "--all"}},
		{"export of an id that is none", nil, []string{"export", "--customer", "CUST_7"}, []string{"CUST_7", "5 digits"}},
		{"export of no time", nil, []string{"export", "--all", "--from", "2026-02-20T10:00:00Z", "--to", "2026-02-20T10:00:00Z"}, []string{"--from 2026-02-20T10:00:00Z", "before"}},
		{"export as xml", nil, []string{"export", "--all", "--format", "xml"}, []string{"--format", "xml", "parquet"}},
		{"parquet to a stream", nil, []string{"export", "--all", "--format", "parquet"}, []string{"directory", "--output"}},
		{"summary among the readings", nil, []string{"export", "--all", "--json"}, []string{"--json", "--output"}},
		{"viewers", nil, []string{"serve", "--max-viewers", "0"}, []string{"--max-viewers 0", "1 or more"}},
		{"base path", []string{"HEARTBEAT_BASE_PATH=heartbeat/"}, []string{"serve"}, []string{"--base-path", "heartbeat/"}},
		{"allowed host", []string{"HEARTBEAT_ALLOWED_HOSTS=a.example,https://b.example"}, []string{"up"}, []string{"--allowed-host", "https://b.example"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := prepare(t, test.variables, test.args...)
			if code := p.run(); code != exitUsage {
				t.Errorf("exit code is %d, want %d", code, exitUsage)
			}
			for _, want := range test.want {
				if !strings.Contains(p.stderr.String(), want) {
					t.Errorf("message does not say %s:\n%s", want, p.stderr.String())
				}
			}
		})
	}
}

func TestFlagsWinOverVariablesOverDotEnvOverDefaults(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	for _, test := range []struct {
		name      string
		dotEnv    string
		variables []string
		args      []string
		want      string
	}{
		{"default", "", nil, nil, "customers=10000 "},
		{".env", "CUSTOMER_POOL_SIZE=11", nil, nil, "customers=11 "},
		{"variable", "CUSTOMER_POOL_SIZE=11", []string{"CUSTOMER_POOL_SIZE=22"}, nil, "customers=22 "},
		{"flag", "CUSTOMER_POOL_SIZE=11", []string{"CUSTOMER_POOL_SIZE=22"}, []string{"--customers=33"}, "customers=33 "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			variables := append([]string{"KAFKA_BOOTSTRAP_SERVERS=" + cluster.ListenAddrs()[0]}, test.variables...)
			p := prepare(t, variables, append([]string{"produce", "--max-events=1"}, test.args...)...)
			p.dotEnv(test.dotEnv)
			if code := p.run(); code != exitOK {
				t.Errorf("exit code is %d, want %d", code, exitOK)
			}
			if !strings.Contains(p.stderr.String(), test.want) {
				t.Errorf("log does not say %s:\n%s", test.want, p.stderr.String())
			}
		})
	}
}

func TestHelpAndVersionGoToStandardOutput(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"Usage: heartbeat <command>": nil,
		"consume ":                   {"--help"},
		"Examples:":                  {"produce", "--help"},
		"CUSTOMER_POOL_SIZE":         {"produce", "-h"},
		"heartbeat ":                 {"version"},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			p := prepare(t, nil, args...)
			if code := p.run(); code != exitOK || p.stderr.String() != "" || !strings.Contains(p.stdout.String(), want) {
				t.Errorf("exit code %d, want 0 and %q on standard output:\n%s\n%s", code, want, p.stdout.String(), p.stderr.String())
			}
		})
	}
}

func TestVersionAsJSON(t *testing.T) {
	t.Parallel()
	p := prepare(t, nil, "version", "--json")
	if code := p.run(); code != exitOK {
		t.Fatalf("exit code is %d: %s", code, p.stderr.String())
	}
	var build map[string]string
	if err := json.Unmarshal(p.stdout.Bytes(), &build); err != nil {
		t.Fatalf("output is not JSON: %v: %s", err, p.stdout.String())
	}
	if build["version"] == "" || build["go"] == "" || build["platform"] == "" {
		t.Errorf("got %v, want version, go and platform", build)
	}
}

// Each variable of .env.example that is not Grafana's must be one that a command's help knows.
func TestEnvExampleNamesOnlyKnownVariables(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", ".env.example"))
	if err != nil {
		t.Fatal(err)
	}
	var help strings.Builder
	for _, command := range []string{"produce", "consume", "ingest", "serve", "migrate", "grafana"} {
		p := prepare(t, nil, command, "--help")
		if code := p.run(); code != exitOK {
			t.Fatalf("%s --help: exit code %d", command, code)
		}
		help.WriteString(p.stdout.String())
	}
	variables := regexp.MustCompile(`(?m)^#?([A-Z_]+)=`).FindAllStringSubmatch(string(text), -1)
	if len(variables) < 15 {
		t.Errorf("found only %d variables in .env.example", len(variables))
	}
	for _, variable := range variables {
		if name := variable[1]; name != "GF_ADMIN_PASSWORD" && !strings.Contains(help.String(), name) {
			t.Errorf("%s is in .env.example, but no help tells of it", name)
		}
	}
}

func TestFailureExitsWith1(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	p := prepare(t, nil, "produce", "--brokers", cluster.ListenAddrs()[0])
	if code := p.run(); code != exitFailure || !strings.Contains(p.stderr.String(), "TOPIC_AUTHORIZATION_FAILED") {
		t.Errorf("exit code is %d, want %d and the broker's error:\n%s", code, exitFailure, p.stderr.String())
	}
}

func TestFirstInterruptEndsInOrder(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	p := prepare(t, nil, "produce", "--rate=1000", "--brokers", cluster.ListenAddrs()[0])
	p.start()
	p.await("events sent")
	p.signal()
	if code := p.wait(); code != exitOK || !strings.Contains(p.stderr.String(), "producer closed cleanly") {
		t.Errorf("exit code is %d, want %d after a clean end:\n%s", code, exitOK, p.stderr.String())
	}
}

func TestInterruptWhileConnectingIsNoFailure(t *testing.T) {
	t.Parallel()
	p := prepare(t, nil, "produce", "--brokers=127.0.0.1:1")
	p.start()
	p.await("broker not reachable")
	p.signal()
	if code := p.wait(); code != exitOK {
		t.Errorf("exit code is %d, want %d:\n%s", code, exitOK, p.stderr.String())
	}
}

// The broker takes nothing, so the first interrupt leaves the process waiting for acknowledgements.
func TestSecondInterruptEndsAtOnce(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	faults := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
	p := prepare(t, nil, "produce", "--rate=1000", "--brokers", cluster.ListenAddrs()[0])
	p.start()
	if err := faults.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 1)
	go func() { ended <- p.wait() }()
	// A signal that arrives while another is pending is lost, so it is sent until it has had its effect.
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for began := time.Now(); ; {
		_ = p.cmd.Process.Signal(syscall.SIGINT) // fails once the process has ended
		select {
		case code := <-ended:
			if code != exitFailure || !strings.Contains(p.stderr.String(), "at once") || time.Since(began) > 20*time.Second {
				t.Errorf("exit code is %d after %v, want %d at once:\n%s", code, time.Since(began), exitFailure, p.stderr.String())
			}
			return
		case <-again.C:
		}
	}
}

// await waits until the condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(waitTimeout)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited %v until %s", waitTimeout, what)
		}
	}
}
