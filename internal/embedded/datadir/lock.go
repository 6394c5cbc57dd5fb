package datadir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const lockFile = "lock"

// Lock reserves a directory for this process, creating it if it is missing, until release is called or the process dies. The
// kernel holds the lock, so a killed process leaves nothing to clean up.
func Lock(dir string) (release func() error, err error) {
	if err := Create(dir); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of data directory: %w", err)
	}
	if err := lock(file, dir); err != nil {
		file.Close()
		return nil, err
	}
	return func() error { return unlock(file) }, nil
}

// unlock releases the lock before it closes the file: a child that this process is forking holds a copy of the file, and with it
// the lock, until exec.
func unlock(file *os.File) error {
	if err := errors.Join(unix.Flock(int(file.Fd()), unix.LOCK_UN), file.Close()); err != nil {
		return fmt.Errorf("unlock data directory: %w", err)
	}
	return nil
}

func lock(file *os.File, dir string) error {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("data directory %s is in use by process %s; stop that one first, or choose another directory", dir, holder(file))
	}
	if err != nil {
		return fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("write lock of data directory: %w", err)
	}
	if _, err := fmt.Fprintln(file, os.Getpid()); err != nil {
		return fmt.Errorf("write lock of data directory: %w", err)
	}
	return nil
}

func holder(file *os.File) string {
	text := make([]byte, 32)
	n, _ := file.ReadAt(text, 0)
	if pid := strings.TrimSpace(string(text[:n])); pid != "" {
		return pid
	}
	return "(unknown)"
}
