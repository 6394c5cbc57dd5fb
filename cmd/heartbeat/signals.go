package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// together is how close a signal follows another of the same cause: timeout(1) signals a process and its group, and what runs a
// program for a shell passes on what the terminal has sent to both.
const together = 500 * time.Millisecond

// interruptible returns a context that ends with the first interrupt, or when the terminal goes away. A second interrupt exits at
// once, which is as safe as a crash. A second hangup does not: shell and kernel both send one when a terminal closes.
//
// A hangup that the parent process ignores, as nohup does, stays ignored. A broken pipe is an error of the write, not the end of
// the process: a role whose output has no reader goes on and stops in order.
func interruptible(stderr io.Writer) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if !signal.Ignored(syscall.SIGHUP) {
		hangups := make(chan os.Signal, 1)
		signal.Notify(hangups, syscall.SIGHUP)
		go func() {
			<-hangups
			cancel()
		}()
	}
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupts
		cancel()
		for first := time.Now(); time.Since(first) < together; {
			<-interrupts
		}
		fmt.Fprintln(stderr, "heartbeat: interrupted again, exiting at once; nothing that was stored is lost")
		os.Exit(exitFailure)
	}()
	return ctx
}

// output is a standard output that remembers why a write failed.
type output struct {
	io.Writer
	gone   atomic.Bool // its reader has gone, or its terminal: that is no failure of the command
	failed atomic.Pointer[error]
}

// Write implements io.Writer.
func (o *output) Write(text []byte) (int, error) {
	n, err := o.Writer.Write(text)
	switch {
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.EIO):
		o.gone.Store(true)
	case err != nil:
		o.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}
