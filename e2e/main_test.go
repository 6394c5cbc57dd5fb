// Package e2e_test tests the whole system from outside: the built binary in its own processes, real signals, real servers.
// The tests know only the product's command line, its topic and its tables. An oracle that shares no code with the
// consumer decides what must be stored.
//
// The audit compares three sources as sets (audit_test.go): the producer's log of acknowledged events (acklog_test.go), the
// topic's records with the outcome that the contract requires of each (topic_test.go, oracle_test.go), and the tables
// (tables_test.go).
//
// HEARTBEAT_TEST_BROKER=apache runs everything against Apache Kafka instead of the embedded broker;
// HEARTBEAT_TEST_POSTGRES=18 fetches that PostgreSQL instead of using the machine's. The servers are started once and
// shared; each test has its own topic and database. A test that injects faults into a server starts its own.
package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// binary is the heartbeat that every test runs, built once.
var binary string

// scratch is a directory that is removed after the test run.
var scratch string

func TestMain(m *testing.M) {
	flag.Parse()
	for _, one := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if signal.Ignored(one) {
			// By a shell or nohup that runs the tests in the background. The roles would inherit it, and lose the signal.
			signal.Notify(make(chan os.Signal, 1), one)
		}
	}
	if err := selectSuite(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "heartbeat-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// Other users run the binary too.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	scratch = dir
	binary = filepath.Join(dir, "heartbeat")
	if err := build(binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stopShared()
	return m.Run()
}

// build compiles the product as the tests are compiled: with the race detector, every scenario looks for races too.
func build(to string, arguments ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	arguments = append([]string{"build", fmt.Sprintf("-race=%v", raceDetector), "-o", to}, arguments...)
	if overlay := os.Getenv("HEARTBEAT_TEST_OVERLAY"); overlay != "" {
		arguments = append(arguments, "-overlay", overlay) // a mutant
	}
	output, err := exec.CommandContext(ctx, "go", append(arguments, "heartbeat/cmd/heartbeat")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build heartbeat: %w\n%s", err, output)
	}
	return nil
}
