package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"heartbeat/internal/testkit/prerequisite"
)

// parentVariable makes this test binary start a child that prints its process id, and wait to be killed.
const parentVariable = "HEARTBEAT_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentVariable) == "" {
		os.Exit(m.Run())
	}
	ready := make(chan string)
	_, err := Start(Command{
		Path: "sh", Args: []string{"-c", "echo $$; exec sleep 600"}, DeathSignal: syscall.SIGTERM,
		Output: func(line string) { ready <- line },
	})
	if err != nil {
		os.Exit(1)
	}
	os.Stdout.WriteString(<-ready + "\n")
	select {}
}

func TestAChildThatEndsByItselfSaysWhy(t *testing.T) {
	t.Parallel()
	p := start(t, Command{Path: "sh", Args: []string{"-c", "echo first; echo reason >&2; exit 3"}})
	<-p.Done()
	err := p.Err()
	for _, want := range []string{"exit status 3", "first", "reason"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Err() = %v, want %q in it", err, want)
		}
	}
}

func TestAChildHasAProcessGroupOfItsOwn(t *testing.T) {
	t.Parallel()
	p := start(t, Command{Path: "sleep", Args: []string{"600"}})
	group, err := syscall.Getpgid(p.Pid())
	if err != nil || group != p.Pid() {
		t.Errorf("the child is in process group %d, %v; want its own, %d: Ctrl-C must not reach it", group, err, p.Pid())
	}
}

func TestAStoppedChildHasNoError(t *testing.T) {
	t.Parallel()
	p := start(t, Command{Path: "sleep", Args: []string{"600"}})
	if err := p.Err(); err != nil {
		t.Errorf("Err() of a running child = %v, want nil", err)
	}
	if err := p.Stop(t.Context(), time.Minute, syscall.SIGTERM); err != nil {
		t.Errorf("Stop() = %v", err)
	}
	if err := p.Err(); err != nil {
		t.Errorf("Err() after Stop = %v, want nil", err)
	}
}

func TestStopGoesOnToRougherSignals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		script string
		ctx    func(context.Context) context.Context
		grace  time.Duration
		killed bool
	}{
		"when grace is over":        {script: `trap "" INT`, ctx: running, grace: 50 * time.Millisecond},
		"when the context ends":     {script: `trap "" INT`, ctx: ended, grace: time.Minute},
		"and kills it in the end":   {script: `trap "" INT TERM`, ctx: running, grace: 50 * time.Millisecond, killed: true},
		"unless the first one does": {script: `true`, ctx: running, grace: time.Minute},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ready := make(chan string, 1)
			p := start(t, Command{
				Path: "sh", Args: []string{"-c", test.script + "; echo ready; exec sleep 600"},
				Output: func(line string) { ready <- line },
			})
			<-ready
			err := p.Stop(test.ctx(t.Context()), test.grace, syscall.SIGINT, syscall.SIGTERM)
			if killed := err != nil; killed != test.killed {
				t.Errorf("Stop() = %v, want an error: %t", err, test.killed)
			}
		})
	}
}

func running(ctx context.Context) context.Context { return ctx }

func ended(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

func TestAChildDiesWithItsParent(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		prerequisite.Missing(t, "only Linux signals the children of a killed process")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"=1")
	output, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 32)
	n, err := output.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // killed
	awaitEnd(t, child)
}

func TestRun(t *testing.T) {
	t.Parallel()
	output, err := Run(t.Context(), Command{Path: "cat", Input: "a\nb\n"})
	if err != nil || output != "a\nb\n" {
		t.Errorf("Run(cat) = %q, %v; want its input", output, err)
	}
	_, err = Run(t.Context(), Command{Path: "sh", Args: []string{"-c", "echo reason >&2; exit 1"}})
	if err == nil || !strings.Contains(err.Error(), "reason") {
		t.Errorf("Run of a failing program: %v, want what it printed", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = Run(ctx, Command{Path: "sleep", Args: []string{"600"}, DeathSignal: syscall.SIGTERM})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run beyond its context: %v, want %v", err, context.DeadlineExceeded)
	}
	if _, err := Run(t.Context(), Command{Path: "/nowhere"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Run of nothing: %v, want %v", err, os.ErrNotExist)
	}
}

func TestOutputCutsLines(t *testing.T) {
	t.Parallel()
	var lines []string
	o := &output{emit: func(line string) { lines = append(lines, line) }}
	for _, part := range []string{"one\ntw", "o\r\n\n", strings.Repeat("x", maxLine), "y\n", "end"} {
		if n, err := o.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("Write(%d bytes) = %d, %v", len(part), n, err)
		}
	}
	o.flush()
	want := []string{"one", "two", strings.Repeat("x", maxLine), "y", "end"}
	if strings.Join(lines, "|") != strings.Join(want, "|") {
		t.Errorf("lines = %.80q, want %.80q", lines, want)
	}
}

func start(t *testing.T, command Command) *Process {
	t.Helper()
	p, err := Start(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// awaitEnd waits until the process is gone, or a zombie that its parent has not waited for.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(10 * time.Second)
	for {
		line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if err != nil || len(line) == 0 {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("process %d outlived its parent by 10 s", pid)
		}
	}
}
