package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/testkit/prerequisite"
)

// Clients of other languages read what a producer writes with its default settings, without any further package for a
// codec: kafka-python 2 and 3, and kafkajs.
func TestClientLibrariesReadTheTopic(t *testing.T) {
	t.Parallel()
	directory := requireKafkaClients(t)
	f := newFixture(t)
	const events = 200
	f.produce("--rate", "2000", "--max-events", fmt.Sprint(events), "--seed", "70").succeed(waitTimeout)
	read := readTopic(t, f.broker, f.topic, f.topic, 0)
	want := slices.Sorted(func(yield func(string) bool) {
		for _, text := range read.events {
			if !yield(text) {
				return
			}
		}
	})
	if len(want) != events {
		t.Fatalf("the topic holds %d events, want %d", len(want), events)
	}
	for name, command := range map[string][]string{
		"kafka-python 2": {filepath.Join(directory, "python-2", "bin", "python"), "testdata/read_topic.py"},
		"kafka-python 3": {filepath.Join(directory, "python-3", "bin", "python"), "testdata/read_topic.py"},
		"kafkajs":        {"node", "testdata/read_topic.js"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
			defer cancel()
			client := exec.CommandContext(ctx, command[0], append(command[1:], f.broker, f.topic, fmt.Sprint(events))...)
			client.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(directory, "node", "node_modules"))
			client.WaitDelay = 5 * time.Second
			var output, complaints bytes.Buffer
			client.Stdout, client.Stderr = &output, &complaints
			if err := client.Run(); err != nil {
				t.Fatalf("read the topic: %v\n%s", err, tail(complaints.String(), 20))
			}
			have := strings.Split(strings.TrimSpace(output.String()), "\n")
			slices.Sort(have)
			if !slices.Equal(have, want) {
				t.Errorf("read %d events that differ from the %d in the topic", len(have), len(want))
			}
		})
	}
}

// requireKafkaClients returns where the clients are installed.
func requireKafkaClients(t *testing.T) string {
	t.Helper()
	directory, err := filepath.Abs("../.cache/kafka-clients")
	if err == nil {
		_, err = os.Stat(filepath.Join(directory, "versions"))
	}
	if err != nil {
		prerequisite.Missing(t, "scripts/fetch-kafka-clients installs the clients of other languages: %v", err)
	}
	return directory
}
