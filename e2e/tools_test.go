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

// Debian's kcat reads the topic.
func TestKcatReadsTheTopic(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.produce("--max-events", "500", "--rate", "5000", "--seed", "5").succeed(patience)
	output := tool(t, "kcat", "-C", "-b", r.broker, "-t", r.topic, "-o", "beginning", "-e", "-q", "-f", `%p %o %k %s\n`)
	read := readTopic(t, r.broker, r.topic, r.topic, 0)
	if lines := strings.Count(output, "\n"); lines != 500 || len(read.facts) != 500 {
		t.Fatalf("kcat reads %d events and our own client %d, want 500", lines, len(read.facts))
	}
	for line := range strings.Lines(output) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 4)
		var e entry
		if err := json.Unmarshal([]byte(fields[3]), &e); err != nil || e.Customer != fields[2] {
			t.Fatalf("kcat shows %q: want the event of the customer that is its key (%v)", line, err)
		}
	}
	if metadata := tool(t, "kcat", "-L", "-b", r.broker, "-t", r.topic); !strings.Contains(metadata, "3 partitions") {
		t.Errorf("kcat -L does not show 3 partitions:\n%s", metadata)
	}
}

// What kcat produces is consumed.
func TestKcatFeedsTheConsumer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var input bytes.Buffer
	for _, record := range foreignRecords(200) {
		input.WriteString(strings.ReplaceAll(string(record.Value), "\n", " ") + "\n")
	}
	kcat := exec.CommandContext(t.Context(), "kcat", "-P", "-b", r.broker, "-t", r.topic, "-z", "snappy")
	kcat.Stdin = &input
	if output, err := kcat.CombinedOutput(); err != nil {
		t.Fatalf("kcat: %v\n%s", err, output)
	}
	r.drain()
	if read := r.audit(); len(read.events) != 200 {
		t.Errorf("%d of kcat's events are readings, want 200", len(read.events))
	}
}

// Apache Kafka's own console tools work, against either kind of broker.
func TestConsoleToolsReadTheTopic(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.produce("--max-events", "300", "--rate", "5000", "--seed", "6").succeed(patience)
	r.drain()
	for _, c := range []struct {
		arguments []string
		want      string
		count     int
	}{
		{[]string{"topics", "--describe", "--topic", r.topic}, "Partition: ", 3},
		{[]string{"topics", "--list"}, r.topic, 1},
		{[]string{"get-offsets", "--topic", r.topic}, r.topic + ":", 3},
		{[]string{"console-consumer", "--topic", r.topic, "--from-beginning", "--max-messages", "300", "--timeout-ms", "60000"}, `"heart_rate":`, 300},
		{[]string{"consumer-groups", "--describe", "--group", r.group}, r.topic + " ", 3},
	} {
		output := tool(t, kafkaTool(t), append([]string{c.arguments[0], "--bootstrap-server", r.broker}, c.arguments[1:]...)...)
		if found := strings.Count(output, c.want); found < c.count {
			t.Errorf("%v shows %q %d times, want %d:\n%s", c.arguments, c.want, found, c.count, tail(output, 10))
		}
	}
}

// kafkaTool is the script that runs Kafka's tools.
func kafkaTool(t testing.TB) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(here, "..", "scripts", "kafka-tool")
}

// tool runs a program to a good end and returns what it printed.
func tool(t testing.TB, name string, arguments ...string) string {
	t.Helper()
	var complaint bytes.Buffer
	program := exec.CommandContext(t.Context(), name, arguments...)
	program.Stderr = &complaint
	output, err := program.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(name), strings.Join(arguments, " "), err, output, complaint.Bytes())
	}
	return string(output)
}
