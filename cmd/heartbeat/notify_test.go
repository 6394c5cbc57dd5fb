package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"heartbeat/internal/postgres/pgtest"
)

const notifyToLog = "destinations: {record: {log: {}}}\nroutes: [{to: [record]}]\n"

func TestHangupLetsNotifyReadItsFileAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notify.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(notifyToLog)
	p := prepare(t, []string{"DATABASE_URL=" + pgtest.URL(pgtest.Database(t))}, "notify", "--file", file, "--metrics-address=none")
	p.start()
	p.await("notifying")
	write("destinations: {}")
	hangup := func() {
		t.Helper()
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hangup()
	p.await("notification file refused, the old one stays")
	write(notifyToLog)
	hangup()
	p.await("notification file taken")
	p.signal()
	if code := p.wait(); code != exitOK {
		t.Errorf("code %d, want %d:\n%s", code, exitOK, p.stderr.String())
	}
}

func TestNotifyChecksAndTestsAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "notify.yaml")
	if err := os.WriteFile(file, []byte(notifyToLog), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		line string
		code int
		want string
	}{
		{"notify check " + file, exitOK, "correct"},
		{"notify check " + file + ".none", exitFailure, "no such file"},
		{"notify test record --file " + file, exitOK, "record has taken the message"},
		{"notify test ward --file " + file, exitFailure, "there is no destination"},
		{"notify retry", exitUsage, "--destination"},
		{"notify retry 7", exitUsage, "not the id"},
	} {
		p := prepare(t, nil, strings.Fields(test.line)...)
		if code := p.run(); code != test.code || !strings.Contains(p.stdout.String()+p.stderr.String(), test.want) {
			t.Errorf("%s: code %d, want %d and %q:\n%s%s", test.line, code, test.code, test.want, p.stdout.String(), p.stderr.String())
		}
	}
}

// Each example of the documentation is a file that a notifier takes.
func TestDocumentedNotificationFilesAreCorrect(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/notifications.md")
	if err != nil {
		t.Fatal(err)
	}
	secrets := t.TempDir()
	for name, content := range map[string]string{
		"ward": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "pagerduty": strings.Repeat("k", 32), "mail": "password",
	} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	environment := []string{
		"DOCTOR_URL=https://hooks.example.org/doctor", "DOCTOR_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "ALERTMANAGER_AUTHORIZATION=Bearer token",
	}
	kinds := map[string]bool{}
	for _, part := range strings.Split(string(text), "```yaml\n")[1:] {
		example, _, _ := strings.Cut(part, "```")
		file := filepath.Join(t.TempDir(), "notify.yaml")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(example, "/run/secrets", secrets)), 0o600); err != nil {
			t.Fatal(err)
		}
		p := prepare(t, environment, "notify", "check", file)
		if code := p.run(); code != exitOK {
			t.Errorf("code %d: %s\n%s", code, p.stderr.String(), example)
		}
		for _, kind := range []string{"log", "webhook", "alertmanager", "pagerduty", "email"} {
			if strings.Contains(example, kind+":") {
				kinds[kind] = true
			}
		}
	}
	if len(kinds) != 5 {
		t.Errorf("there are examples of %v only", kinds)
	}
}
