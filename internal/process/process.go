// Package process runs a server as a child process, and ends it in order or with its parent.
//
// A child gets a process group of its own, so that Ctrl-C in a terminal reaches the parent alone and the parent
// stops its children in its own order. On Linux the kernel signals the child when the parent dies, however it dies;
// elsewhere a killed parent leaves the child behind, and the code that starts the next one must look for it.
//
// It refuses to restart anything and to interpret output. All methods may be called from any goroutine. Unix only.
// It is not on the path of a reading: PostgreSQL, the test brokers and the benchmark's servers run through it.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// killGrace is how long a cancelled program may take to clean up.
const killGrace = 5 * time.Second

// pipeGrace is how long output is still read after the child is gone, for a grandchild may hold the pipe open.
const pipeGrace = time.Second

// Command says what to run.
type Command struct {
	Path        string
	Args        []string
	Env         []string            // nil is the parent's
	Input       string              // what it reads on its standard input
	Dir         string              // "" is the parent's
	Credential  *syscall.Credential // nil runs it as the parent's user
	DeathSignal syscall.Signal      // sent to the child when the parent dies, on Linux
	Output      func(line string)   // receives each line of output, from one goroutine; may be nil
}

// Process is a child that was started.
type Process struct {
	cmd      *exec.Cmd
	output   *output
	done     chan struct{}
	err      error // set before done is closed
	expected atomic.Bool
}

// Start starts the child.
func Start(command Command) (*Process, error) {
	p := &Process{output: &output{emit: command.Output}, done: make(chan struct{})}
	p.cmd = exec.Command(command.Path, command.Args...)
	p.cmd.Env = command.Env
	p.cmd.Dir = command.Dir
	p.cmd.Stdin = strings.NewReader(command.Input)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.WaitDelay = pipeGrace
	p.cmd.SysProcAttr = attributes(command)

	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Path, err)
	}
	return p, nil
}

// Run runs a program to its end and returns what it printed. When ctx ends it gets its death signal, then is killed.
func Run(ctx context.Context, command Command) (string, error) {
	var printed strings.Builder
	command.Output = func(line string) { printed.WriteString(line + "\n") }
	p, err := Start(command)
	if err != nil {
		return "", err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), p.Stop(context.WithoutCancel(ctx), killGrace, command.DeathSignal))
	}
	if p.err != nil {
		return "", fmt.Errorf("%s: %w: %s", command.Path, p.err, strings.TrimSpace(printed.String()))
	}
	return printed.String(), nil
}

// run owns the child from start to end. The death signal belongs to the thread that forked the child, not to the process: the
// child would be killed if that thread ended early. So this goroutine stays locked to it.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	p.output.flush()
	close(p.done)
}

// Pid returns the child's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended and its output is read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err tells why the child ended without having been stopped, with its last lines of output. It is nil while the child
// runs and after Stop.
func (p *Process) Err() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	if p.expected.Load() {
		return nil
	}
	state := "exit status 0"
	if p.err != nil {
		state = p.err.Error()
	}
	return fmt.Errorf("%s ended by itself: %s%s", p.cmd.Path, state, p.output.tail())
}

// Signal sends a signal to the child alone. A child that has ended is no error.
func (p *Process) Signal(sig os.Signal) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.cmd.Path, err)
	}
	return nil
}

// Stop sends each signal in turn, going on to the next when ctx ends or the child ignores one for longer than grace,
// and kills the child at last. It returns an error only if the child had to be killed.
func (p *Process) Stop(ctx context.Context, grace time.Duration, signals ...syscall.Signal) error {
	p.expected.Store(true)
	ended := ctx.Done()
	for _, sig := range signals {
		if err := p.Signal(sig); err != nil {
			return err
		}
		select {
		case <-p.done:
			return nil
		case <-ended:
			ended = nil // only the first wait is the caller's to cut short
		case <-time.After(grace):
		}
	}
	if err := p.Kill(); err != nil {
		return err
	}
	return fmt.Errorf("stop %s: it ignored %v and was killed", p.cmd.Path, signals)
}

// Kill ends the child without a chance to clean up and waits for its end.
func (p *Process) Kill() error {
	p.expected.Store(true)
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}
