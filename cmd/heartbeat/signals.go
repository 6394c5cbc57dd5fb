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
)

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
		<-interrupts
		fmt.Fprintln(stderr, "heartbeat: interrupted again, exiting at once; nothing that was stored is lost")
		os.Exit(exitFailure)
	}()
	return ctx
}

// output is a standard output that remembers whether its reader has gone: that is no failure of the command.
type output struct {
	io.Writer
	gone atomic.Bool
}

// Write implements io.Writer.
func (o *output) Write(text []byte) (int, error) {
	n, err := o.Writer.Write(text)
	if errors.Is(err, syscall.EPIPE) {
		o.gone.Store(true)
	}
	return n, err
}
