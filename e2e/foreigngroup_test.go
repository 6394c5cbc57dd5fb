package e2e_test

import (
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Another program uses the consumer group, with the classic protocol or that of KIP-848: nothing is stored, and readiness, doctor and
// console name the program.
func TestGroupOfAnotherProgramIsNamed(t *testing.T) {
	t.Parallel()
	for name, join := range map[string]func(*fixture){"classic": (*fixture).joinAsForeigner, "KIP-848": (*fixture).joinAsConsoleConsumer} {
		t.Run(name, func(t *testing.T) {
			if name == "KIP-848" {
				apacheOnly(t)
			}
			t.Parallel()
			f := newFixture(t)
			f.produce("--max-events", "500", "--rate", "5000", "--seed", "77").succeed(waitTimeout)
			join(f)
			console := f.serve()
			console.wantNotReady("none of the members of consumer group " + f.group + " is a Heartbeat consumer (foreign-program at")
			wantDoctor(t, []string{"doctor", "--brokers", f.broker, "--topic", f.topic, "--group", f.group}, f.environment(f.database), "(foreign-program at")
		})
	}
}

// joinAsForeigner joins the group as another client of the classic protocol.
func (f *fixture) joinAsForeigner() {
	f.t.Helper()
	foreigner := client(f.t, f.broker, kgo.ClientID("foreign-program"), kgo.ConsumerGroup(f.group), kgo.ConsumeTopics(f.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if fetches := foreigner.PollFetches(f.t.Context()); fetches.Err() != nil {
		f.t.Fatal(fetches.Err())
	}
}

// joinAsConsoleConsumer joins the group with Apache Kafka's console consumer and its newer protocol.
func (f *fixture) joinAsConsoleConsumer() {
	f.t.Helper()
	program := exec.CommandContext(f.t.Context(), kafkaTool(f.t), "console-consumer", "--bootstrap-server", f.broker, "--topic", f.topic,
		"--group", f.group, "--from-beginning", "--consumer-property", "group.protocol=consumer", "--consumer-property", "client.id=foreign-program")
	output := &outputBuffer{}
	program.Stdout, program.Stderr = output, output
	if err := program.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = program.Process.Kill(); _ = program.Wait() })
	await(f.t, waitTimeout, func() string {
		if !strings.Contains(output.String(), `"heart_rate":`) {
			return "the console consumer reads nothing:\n" + tail(output.String(), 10)
		}
		return ""
	})
}

// wantNotReady waits until /readyz gives the reason.
func (c *console) wantNotReady(reason string) {
	c.t.Helper()
	wantNotReady(c.t, "http://"+c.address+"/readyz", reason)
}

func wantNotReady(t testing.TB, address, reason string) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	await(t, waitTimeout, func() string {
		response, err := client.Get(address)
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(text), reason) {
			return response.Status + ": " + string(text) + ", want 503 and " + reason
		}
		return ""
	})
}

// wantDoctor wants doctor to find a failure that it names.
func wantDoctor(t testing.TB, arguments, environment []string, reason string) {
	t.Helper()
	doctor := start(t, command{arguments: arguments, environment: environment})
	if code := doctor.wait(waitTimeout); code != 1 || !strings.Contains(doctor.output.String(), reason) {
		t.Errorf("doctor ended with code %d, want 1 and %q:\n%s", code, reason, doctor.output.String())
	}
}
