// Package e2e_test tests the whole system as its users meet it: the built binary in processes of its own, real signals,
// real servers. It holds only tests, and they know of the product nothing but its command line, its topic and its
// tables: what must be stored is decided by an oracle that shares no code with the consumer.
//
// The oracle has three sources: the producer's own ledger of acknowledged events (ledger_test.go), a direct read of the topic
// judged by the contract's words (topic_test.go, judge_test.go), and the tables (tables_test.go). They are
// compared as sets (audit_test.go).
//
// HEARTBEAT_TEST_BROKER=apache runs everything against Apache Kafka instead of the embedded broker;
// HEARTBEAT_TEST_POSTGRES=18 fetches that PostgreSQL instead of using the machine's. The servers are started once and shared, each
// test having a topic and a database of its own; a test that harms a server starts its own.
package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// binary is the race-checked heartbeat that every test runs, built once.
var binary string

// scratch is the directory that goes with the test run.
var scratch string

func TestMain(m *testing.M) {
	flag.Parse()
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
	scratch, report.began = dir, time.Now()
	binary = filepath.Join(dir, "heartbeat")
	if err := build(binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stopShared()
	code := m.Run()
	if err := writeReport(code == 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// build compiles the product with the race detector, so that every scenario looks for races as well.
func build(to string, arguments ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	arguments = append([]string{"build", "-race", "-o", to}, arguments...)
	if overlay := os.Getenv("HEARTBEAT_TEST_OVERLAY"); overlay != "" {
		arguments = append(arguments, "-overlay", overlay) // a test of the tests puts a defect in
	}
	output, err := exec.CommandContext(ctx, "go", append(arguments, "heartbeat/cmd/heartbeat")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build heartbeat: %w\n%s", err, output)
	}
	return nil
}
