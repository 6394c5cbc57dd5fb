package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// role is a running process of the product.
type role struct {
	t     testing.TB
	name  string
	cmd   *exec.Cmd
	lines *lines
	done  chan struct{} // closed when the process has ended and its output is read
	err   error         // why it ended; set before done is closed
	warm  int64         // memory that the process occupied once it was at work
}

// command says how to run the product.
type command struct {
	arguments   []string
	environment []string            // beyond the barest
	binary      string              // empty: the usual one
	credential  *syscall.Credential // nil: our own user
	home        string              // empty: one that goes with the test
}

// start runs the product. It is killed at the end of the test if it still runs then; what it said is shown when the
// test has failed.
func start(t testing.TB, c command) *role {
	t.Helper()
	if c.binary == "" {
		c.binary = binary
	}
	if c.home == "" {
		c.home = t.TempDir()
	}
	cmd := exec.Command(c.binary, c.arguments...)
	cmd.Dir = c.home
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.home, "NO_COLOR=1", "GORACE=halt_on_error=0"}, c.environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.credential, Pdeathsig: syscall.SIGKILL}
	r := &role{t: t, name: strings.Join(append([]string{filepath.Base(c.binary)}, c.arguments[:min(1, len(c.arguments))]...), " "), cmd: cmd, lines: &lines{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = r.lines, r.lines
	cmd.WaitDelay = 5 * time.Second
	started := make(chan error)
	go r.run(started)
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", r.name, err)
	}
	t.Cleanup(r.cleanUp)
	return r
}

// run owns the process from start to end. The death signal belongs to the thread that forked it, so this goroutine keeps
// that thread: a process of a test run that was aborted does not live on.
func (r *role) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := r.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	r.err = r.cmd.Wait()
	close(r.done)
}

func (r *role) cleanUp() {
	r.signal(syscall.SIGKILL)
	r.signal(syscall.SIGCONT)
	<-r.done
	text := r.lines.String()
	if strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
		r.t.Errorf("%s (process %d) has a race or a panic:\n%s", r.name, r.cmd.Process.Pid, text)
	} else if r.t.Failed() {
		r.t.Logf("last words of %s (process %d):\n%s", r.name, r.cmd.Process.Pid, tail(text, 25))
	}
}

func (r *role) signal(signal syscall.Signal) {
	if err := r.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		r.t.Errorf("signal %s: %v", r.name, err)
	}
}

// kill ends the process without a chance to clean up.
func (r *role) kill() {
	r.signal(syscall.SIGKILL)
	<-r.done
}

// ended tells whether the process has ended.
func (r *role) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// wait waits for the end of the process and returns its exit code.
func (r *role) wait(within time.Duration) int {
	r.t.Helper()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-r.done:
		return r.cmd.ProcessState.ExitCode()
	case <-timer.C:
		r.signal(syscall.SIGQUIT) // its stacks say where it hangs
		<-r.done
		r.t.Fatalf("%s does not end within %v", r.name, within)
		return -1
	}
}

// succeed waits for the end, which must be a good one.
func (r *role) succeed(within time.Duration) {
	r.t.Helper()
	if code := r.wait(within); code != 0 {
		r.t.Fatalf("%s ended with code %d:\n%s", r.name, code, tail(r.lines.String(), 30))
	}
}

// interrupt asks the process to end as Ctrl-C does, and waits for a good end.
func (r *role) interrupt() {
	r.t.Helper()
	r.signal(syscall.SIGINT)
	r.succeed(patience)
}

// says waits until the process has said the text.
func (r *role) says(text string) {
	r.t.Helper()
	r.saysTimes(text, 1)
}

// saysTimes waits until the process has said the text so many times.
func (r *role) saysTimes(text string, times int) {
	r.t.Helper()
	await(r.t, patience, func() string {
		said := r.said(text)
		if said < times && r.ended() {
			r.t.Fatalf("%s ended (%v) without saying %q %d times:\n%s", r.name, r.err, text, times, tail(r.lines.String(), 30))
		}
		if said < times {
			return fmt.Sprintf("%s said %q %d times, want %d", r.name, text, said, times)
		}
		return ""
	})
}

// said returns how often the process has said the text so far.
func (r *role) said(text string) int { return strings.Count(r.lines.String(), text) }

// lines is what a process says.
type lines struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write takes what the process says.
func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

// String returns all that was said so far.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func tail(text string, most int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
