package pgserver

import (
	"context"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"heartbeat/internal/testkit/child"
)

func TestMain(m *testing.M) {
	child.Main(m, child.Functions{
		"umask": umaskServer,
		"server": func(dir string, _ int) (string, error) {
			p, err := Start(context.Background(), testOptions(dir))
			if err != nil {
				return "", err
			}
			return p.URL(), nil
		},
	})
}

// directory returns a directory that the server's user can get to when we are root, which t.TempDir's is not.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "heartbeat-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func testLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// await waits until the condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited 20 s until %s", what)
		}
	}
}

// runs reports whether there is such a process, zombies aside.
func runs(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	return commandLine(pid) != ""
}
