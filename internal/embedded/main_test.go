package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childVariable names what this test binary is to do as a child process, and the others where.
const (
	childVariable = "HEARTBEAT_TEST_CHILD"
	childDir      = "HEARTBEAT_TEST_DIR"
	childPort     = "HEARTBEAT_TEST_PORT"
)

// children start something in a directory and return what to print when they are ready. They then live until killed.
var children = map[string]func(dir string) (ready string, err error){
	"lock": func(dir string) (string, error) {
		_, err := Lock(dir)
		return "locked", err
	},
	"postgres": func(dir string) (string, error) {
		p, err := StartPostgres(context.Background(), postgresOptions(dir))
		if err != nil {
			return "", err
		}
		return p.URL(), nil
	},
	"broker": func(dir string) (string, error) {
		on, err := strconv.Atoi(os.Getenv(childPort))
		if err != nil {
			return "", err
		}
		b, err := StartBroker(context.Background(), BrokerOptions{Dir: dir, Port: on, PortAsked: true})
		if err != nil {
			return "", err
		}
		return b.Address(), nil
	},
}

func TestMain(m *testing.M) {
	if start := children[os.Getenv(childVariable)]; start != nil {
		ready, err := start(os.Getenv(childDir))
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(ready)
		select {} // until killed
	}
	os.Exit(m.Run())
}

// child runs one of the children, on a port where it takes one, and returns what it printed when it was ready.
func child(t *testing.T, name, dir string, on int) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+name, childDir+"="+dir, childPort+"="+strconv.Itoa(on))
	cmd.Stderr = os.Stderr
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error:") {
		t.Fatalf("start %s in a child process: %v %s", name, err, line)
	}
	t.Cleanup(func() { kill(t, cmd) })
	return cmd, strings.TrimSpace(line)
}

// kill ends a child as nothing can prevent, and waits for its end. A second call does nothing.
func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if cmd.ProcessState != nil {
		return
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
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

// runs tells whether there is such a process, zombies aside.
func runs(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	return commandLine(pid) != ""
}
