package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"heartbeat/internal/testkit/fakekafka"
)

// A role whose output has no reader any more goes on, and ends in order when it is asked to.
func TestOutputWithoutReaderEndsNoRole(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	acks := filepath.Join(t.TempDir(), "acks")
	p := prepare(t, nil, "produce", "--rate=5000", "--ack-log", acks, "--brokers", cluster.ListenAddrs()[0])
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = writer, writer
	p.start()
	writer.Close()
	text := make([]byte, 1)
	if _, err := reader.Read(text); err != nil { // it has begun to write
		t.Fatal(err)
	}
	reader.Close()
	// That is more than a second of events, and it writes a line each second.
	await(t, "the process has sent events after its reader has gone", func() bool {
		info, err := os.Stat(acks)
		return err == nil && info.Size() > 1<<20
	})
	p.signal()
	if code := p.wait(); code != exitOK {
		t.Errorf("ended with code %d (%v), want %d", code, p.cmd.ProcessState, exitOK)
	}
	sent, err := os.ReadFile(acks)
	if err != nil || !strings.HasSuffix(string(sent), "}\n") {
		t.Errorf("the list of acknowledged events does not end with a whole line (%v): the stop was not orderly", err)
	}
}

// A command whose reader has seen enough is no failure.
func TestOutputCutShortIsNoFailure(t *testing.T) {
	t.Parallel()
	p := prepare(t, nil, "version")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	p.cmd.Stdout = writer
	if code := p.run(); code != exitOK || p.stderr.String() != "" {
		t.Errorf("code %d, want %d and no message:\n%s", code, exitOK, p.stderr.String())
	}
}

func TestHangupEndsInOrder(t *testing.T) {
	t.Parallel()
	// A child inherits signals that are ignored, as under nohup, but not those that are handled.
	handled := make(chan os.Signal, 1)
	signal.Notify(handled, syscall.SIGHUP)
	defer signal.Stop(handled)
	cluster := fakekafka.Start(t)
	p := prepare(t, nil, "produce", "--rate=1000", "--brokers", cluster.ListenAddrs()[0])
	p.start()
	p.await("events sent")
	for range 3 { // shell and kernel both send one when a terminal closes
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	if code := p.wait(); code != exitOK || !strings.Contains(p.stderr.String(), "producer closed cleanly") {
		t.Errorf("code %d, want %d after a clean end:\n%s", code, exitOK, p.stderr.String())
	}
}

func TestHangupThatNohupIgnoresStaysIgnored(t *testing.T) {
	t.Parallel()
	nohup, err := exec.LookPath("nohup")
	if err != nil {
		t.Fatal(err)
	}
	cluster := fakekafka.Start(t)
	p := prepare(t, nil, "produce", "--rate=1000", "--brokers", cluster.ListenAddrs()[0])
	p.cmd.Args = append([]string{nohup, p.cmd.Path}, p.cmd.Args[1:]...)
	p.cmd.Path = nohup
	p.start()
	p.await("events sent")
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	before := strings.Count(p.stderr.String(), "events sent")
	await(t, "it has gone on after the hangup", func() bool { return strings.Count(p.stderr.String(), "events sent") > before+1 })
	p.signal()
	if code := p.wait(); code != exitOK {
		t.Errorf("code %d, want %d:\n%s", code, exitOK, p.stderr.String())
	}
}

// A role whose output takes nothing, such as a terminal after Ctrl-S, goes on, and ends in order when it is asked to.
func TestOutputThatTakesNothingStopsNoRole(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	acks := filepath.Join(t.TempDir(), "acks")
	p := prepare(t, []string{"LOG_LEVEL=DEBUG"}, "produce", "--rate=1000", "--ack-log", acks, "--brokers", cluster.ListenAddrs()[0])
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	fillPipe(t, writer)
	p.cmd.Stdout, p.cmd.Stderr = writer, writer
	p.start()
	writer.Close()
	await(t, "the process has sent events while its output is not read", func() bool {
		info, err := os.Stat(acks)
		return err == nil && info.Size() > 1<<20
	})
	p.signal()
	if code := p.wait(); code != exitOK {
		t.Errorf("ended with code %d (%v), want %d", code, p.cmd.ProcessState, exitOK)
	}
}

// fillPipe writes to a pipe until it takes no more.
func fillPipe(t *testing.T, writer *os.File) {
	t.Helper()
	if err := writer.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("filling a pipe: %v, want the deadline exceeded", err)
	}
}

// timeout(1) signals a process and then its group: the second signal of the same moment is no second interrupt.
func TestSignalSentTwiceAtOnceEndsInOrder(t *testing.T) {
	t.Parallel()
	timeout, err := exec.LookPath("timeout")
	if err != nil {
		t.Fatal(err)
	}
	cluster := fakekafka.Start(t)
	p := prepare(t, nil, "produce", "--rate=1000", "--brokers", cluster.ListenAddrs()[0])
	p.cmd.Args = append([]string{timeout, "--preserve-status", "3", p.cmd.Path}, p.cmd.Args[1:]...)
	p.cmd.Path = timeout
	p.start()
	if code := p.wait(); code != exitOK || !strings.Contains(p.stderr.String(), "producer closed cleanly") {
		t.Errorf("code %d, want %d after a clean end:\n%s", code, exitOK, p.stderr.String())
	}
}

// A report that cannot be written is a failure, also where the command has found nothing wrong.
func TestOutputThatCannotBeWrittenIsAFailure(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, line := range [][]string{{"version"}, {"grafana", t.TempDir()}} {
		p := prepare(t, nil, line...)
		p.cmd.Stdout = full
		if code := p.run(); code != exitFailure || !strings.Contains(p.stderr.String(), "write to standard output: ") {
			t.Errorf("%v: code %d, want %d and the reason:\n%s", line, code, exitFailure, p.stderr.String())
		}
	}
}
