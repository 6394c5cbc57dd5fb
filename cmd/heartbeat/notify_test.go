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
