package pgserver

import (
	"context"
	"errors"
	"fmt"
	"heartbeat/internal/backoff"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// pidFile is the content of postmaster.pid: its process id in the first line, its state in the eighth.
type pidFile struct {
	pid   int
	ready bool
}

func (c *cluster) pidFileName() string { return filepath.Join(c.dir, "postmaster.pid") }

func (c *cluster) readPidFile() (pidFile, bool) {
	text, err := os.ReadFile(c.pidFileName())
	if err != nil {
		return pidFile{}, false
	}
	lines := strings.Split(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 1 {
		return pidFile{}, false
	}
	return pidFile{pid: pid, ready: len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready"}, true
}

// stopOrphan stops a server that a killed run left behind on this data; the directory's lock is ours, so no running process owns
// it. A pid file whose process is gone, or is another program by now, is removed: PostgreSQL refuses to start when any process
// of its user has the number.
func (c *cluster) stopOrphan(ctx context.Context) error {
	left, ok := c.readPidFile()
	if !ok {
		return nil
	}
	if !c.serves(left.pid) {
		if err := os.Remove(c.pidFileName()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove stale pid file: %w", err)
		}
		return nil
	}
	c.log.Warn("stopping the server that an earlier run left behind", "pid", left.pid)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		if err := syscall.Kill(left.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the server left behind (process %d): %w", left.pid, err)
		}
		if c.awaitEnd(ctx, left.pid) {
			return nil
		}
	}
	return fmt.Errorf("the server that an earlier run left behind (process %d) does not stop: end it, then start again", left.pid)
}

// awaitEnd reports whether the process ended within stopGrace. It is not our child, so its end can only be polled.
func (c *cluster) awaitEnd(ctx context.Context, pid int) bool {
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	for c.serves(pid) {
		if backoff.Sleep(ctx, readyPoll) != nil {
			return false
		}
	}
	return true
}

// serves reports whether the process is a PostgreSQL server on this directory. The first process of a server keeps the command
// line that arguments gave it.
func (c *cluster) serves(pid int) bool {
	return strings.Contains(commandLine(pid), "postgres -D "+c.dir+" -c ")
}
