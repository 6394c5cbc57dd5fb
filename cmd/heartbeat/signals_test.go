package main

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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
