package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pidFile is what a server says of itself in postmaster.pid: its process id in the first line, its state in the eighth.
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

// stopOrphan stops a server that a killed run left behind on our data. We hold the directory's lock, so it belongs to nobody.
// A pid file whose process is gone, or is another program by now, is removed: PostgreSQL itself refuses to start when
// the number is in use by any process of its user.
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

// awaitEnd tells whether the process ended in good time. It is not our child, so there is nothing but to look again.
func (c *cluster) awaitEnd(ctx context.Context, pid int) bool {
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	for c.serves(pid) {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// serves tells whether the process is a PostgreSQL server on this very directory. We start servers in just this way, and
// the first process of a server never changes its command line.
func (c *cluster) serves(pid int) bool {
	return strings.Contains(commandLine(pid), "postgres -D "+c.dir+" -c ")
}
