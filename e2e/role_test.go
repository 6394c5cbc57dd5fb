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
	t              testing.TB
	name           string
	cmd            *exec.Cmd
	output         *outputBuffer
	done           chan struct{} // closed when the process has ended and its output is complete
	err            error         // why it ended; set before done is closed
	baselineMemory int64         // resident memory after warming up
}

// command describes a run of the product.
type command struct {
	arguments   []string
	environment []string            // added to PATH and HOME
	binary      string              // empty: the shared binary
	credential  *syscall.Credential // nil: our own user
	home        string              // empty: a temporary directory
	output      *os.File            // gets the output instead of role.output; nil: none
}

// start runs the product. The process is killed at the end of the test if it still runs; the test logs its output on
// failure.
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
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + c.home, "XDG_STATE_HOME=" + filepath.Join(c.home, "state"), "NO_COLOR=1",
		"GORACE=halt_on_error=0 atexit_sleep_ms=50", // not the default of a second's sleep at each exit
	}, c.environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.credential, Pdeathsig: syscall.SIGKILL}
	r := &role{t: t, name: strings.Join(append([]string{filepath.Base(c.binary)}, c.arguments[:min(1, len(c.arguments))]...), " "), cmd: cmd, output: &outputBuffer{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = r.output, r.output
	if c.output != nil {
		cmd.Stdout, cmd.Stderr = c.output, c.output
	}
	cmd.WaitDelay = 5 * time.Second
	started := make(chan error)
	go r.run(started)
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", r.name, err)
	}
	t.Cleanup(r.cleanUp)
	return r
}

// run owns the process from start to end. Pdeathsig is bound to the thread that forked, so this goroutine keeps its
// thread: the process ends with an aborted test run.
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
	text := r.output.String()
	if strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
		r.t.Errorf("%s (process %d) has a race or a panic:\n%s", r.name, r.cmd.Process.Pid, text)
	} else if r.t.Failed() {
		r.t.Logf("end of the output of %s (process %d):\n%s", r.name, r.cmd.Process.Pid, tail(text, 25))
	}
}

func (r *role) signal(signal syscall.Signal) {
	if err := r.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		r.t.Errorf("signal %s: %v", r.name, err)
	}
}

// kill sends SIGKILL and waits for the end.
func (r *role) kill() {
	r.signal(syscall.SIGKILL)
	<-r.done
}

// ended reports whether the process has ended.
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
		r.signal(syscall.SIGQUIT) // prints the goroutines' stacks
		<-r.done
		r.t.Fatalf("%s does not end within %v", r.name, within)
		return -1
	}
}

// succeed waits for the end and requires exit code 0.
func (r *role) succeed(within time.Duration) {
	r.t.Helper()
	if code := r.wait(within); code != 0 {
		r.t.Fatalf("%s ended with code %d:\n%s", r.name, code, tail(r.output.String(), 30))
	}
}

// interrupt sends SIGINT, as Ctrl-C does, and requires exit code 0.
func (r *role) interrupt() {
	r.t.Helper()
	r.signal(syscall.SIGINT)
	r.succeed(waitTimeout)
}

// waitForOutput waits until the process has written the text.
func (r *role) waitForOutput(text string) {
	r.t.Helper()
	r.waitForOutputTimes(text, 1)
}

// waitForOutputTimes waits until the process has written the text so many times.
func (r *role) waitForOutputTimes(text string, times int) {
	r.t.Helper()
	await(r.t, waitTimeout, func() string {
		count := r.outputCount(text)
		if count < times && r.ended() {
			r.t.Fatalf("%s ended (%v) without writing %q %d times:\n%s", r.name, r.err, text, times, tail(r.output.String(), 30))
		}
		if count < times {
			return fmt.Sprintf("%s wrote %q %d times, want %d", r.name, text, count, times)
		}
		return ""
	})
}

// outputCount returns how often the process has written the text so far.
func (r *role) outputCount(text string) int { return strings.Count(r.output.String(), text) }

// outputBuffer is the output of a process.
type outputBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write appends output of the process.
func (l *outputBuffer) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

// String returns the output so far.
func (l *outputBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func tail(text string, most int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
