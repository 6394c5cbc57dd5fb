package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kcat reads the topic.
func TestKcatReadsTheTopic(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.produce("--max-events", "500", "--rate", "5000", "--seed", "5").succeed(waitTimeout)
	output := tool(t, "kcat", "-C", "-b", f.broker, "-t", f.topic, "-o", "beginning", "-e", "-q", "-f", `%p %o %k %s\n`)
	read := readTopic(t, f.broker, f.topic, f.topic, 0)
	if lines := strings.Count(output, "\n"); lines != 500 || len(read.records) != 500 {
		t.Fatalf("kcat reads %d events and our own client %d, want 500", lines, len(read.records))
	}
	for line := range strings.Lines(output) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 4)
		var event ackedEvent
		if err := json.Unmarshal([]byte(fields[3]), &event); err != nil || event.Customer != fields[2] {
			t.Fatalf("kcat shows %q: want the event of the customer that is its key (%v)", line, err)
		}
	}
	if metadata := tool(t, "kcat", "-L", "-b", f.broker, "-t", f.topic); !strings.Contains(metadata, "3 partitions") {
		t.Errorf("kcat -L does not show 3 partitions:\n%s", metadata)
	}
}

// What kcat produces is consumed.
func TestKcatFeedsTheConsumer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var input bytes.Buffer
	for _, record := range foreignRecords(200) {
		input.WriteString(strings.ReplaceAll(string(record.Value), "\n", " ") + "\n")
	}
	kcat := exec.CommandContext(t.Context(), "kcat", "-P", "-b", f.broker, "-t", f.topic, "-z", "snappy")
	kcat.Stdin = &input
	if output, err := kcat.CombinedOutput(); err != nil {
		t.Fatalf("kcat: %v\n%s", err, output)
	}
	f.drain()
	if read := f.audit(); len(read.events) != 200 {
		t.Errorf("%d of kcat's events are readings, want 200", len(read.events))
	}
}

// Apache Kafka's own console tools work against either kind of broker.
func TestConsoleToolsReadTheTopic(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.produce("--max-events", "300", "--rate", "5000", "--seed", "6").succeed(waitTimeout)
	f.drain()
	for _, c := range []struct {
		arguments []string
		want      string
		count     int
	}{
		{[]string{"topics", "--describe", "--topic", f.topic}, "Partition: ", 3},
		{[]string{"topics", "--list"}, f.topic, 1},
		{[]string{"get-offsets", "--topic", f.topic}, f.topic + ":", 3},
		{[]string{"console-consumer", "--topic", f.topic, "--from-beginning", "--max-messages", "300", "--timeout-ms", "60000"}, `"heart_rate":`, 300},
		{[]string{"consumer-groups", "--describe", "--group", f.group}, f.topic + " ", 3},
	} {
		output := tool(t, kafkaTool(t), append([]string{c.arguments[0], "--bootstrap-server", f.broker}, c.arguments[1:]...)...)
		if found := strings.Count(output, c.want); found < c.count {
			t.Errorf("%v shows %q %d times, want %d:\n%s", c.arguments, c.want, found, c.count, tail(output, 10))
		}
	}
}

// kafkaTool returns the script that runs Kafka's tools.
func kafkaTool(t testing.TB) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(here, "..", "scripts", "kafka-tool")
}

// tool runs a program, requires exit code 0, and returns its output.
func tool(t testing.TB, name string, arguments ...string) string {
	t.Helper()
	var diagnostics bytes.Buffer
	program := exec.CommandContext(t.Context(), name, arguments...)
	program.Stderr = &diagnostics
	output, err := program.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(name), strings.Join(arguments, " "), err, output, diagnostics.Bytes())
	}
	return string(output)
}
