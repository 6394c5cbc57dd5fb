// Package instanceid gives a consumer process a name in its group that survives a crash, from files in a state directory.
//
// It knows nothing about Kafka. A lock on a name's file, which the kernel frees with its process, keeps two live processes apart; any
// number may claim at a time.
//
// It is not on the path of a reading: a consumer claims its name before it joins.
package instanceid

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"heartbeat/internal/embedded/datadir"
)

// ID is a consumer's name in its group. A member that was killed comes back under it at once, instead of waiting
// until the group has removed the dead member.
type ID struct {
	Name    string // empty: dynamic membership
	Chosen  bool   // not the user's
	Release func()
}

// Options say where an id comes from.
type Options struct {
	Given    string // the user's own; empty: one that is kept in StateDir
	StateDir string // empty: the user's state directory
	Dynamic  bool   // claim none, for a consumer that ends by itself and should leave nothing in the group
}

// Claim returns the given name or claims one from the state directory. Without either, membership is dynamic.
func Claim(options Options, logger *slog.Logger) ID {
	if options.Given != "" {
		return ID{Name: options.Given, Release: func() {}}
	}
	if options.Dynamic {
		return ID{Release: func() {}}
	}
	name, release, err := claimName(options.StateDir)
	if err != nil {
		logger.Info("no instance id: after a crash, this consumer's partitions wait for the session timeout", "cause", err)
		return ID{Release: func() {}}
	}
	return ID{Name: name, Chosen: true, Release: release}
}

// consumersPerMachine bounds the names of one state directory.
const consumersPerMachine = 64

// claimName returns the first name of the state directory that no live process has. The kernel holds the lock on a
// name's file, so the name of a killed process is free at once. Names are random, so that no two machines share one.
func claimName(dir string) (name string, release func(), err error) {
	if dir, err = nameDir(dir); err != nil {
		return "", nil, err
	}
	for n := range consumersPerMachine {
		file, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("consumer-%d", n)), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return "", nil, fmt.Errorf("open file of an instance id: %w", err)
		}
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			file.Close()
			continue
		}
		if err == nil {
			name, err = readOrWriteName(file)
		}
		if err != nil {
			file.Close()
			return "", nil, fmt.Errorf("claim an instance id in %s: %w", dir, err)
		}
		return name, func() { file.Close() }, nil
	}
	return "", nil, fmt.Errorf("%d consumers have an instance id from %s already", consumersPerMachine, dir)
}

func nameDir(dir string) (string, error) {
	if dir == "" {
		var err error
		if dir, err = stateDir(); err != nil {
			return "", err
		}
	}
	if err := datadir.Create(dir); err != nil {
		return "", fmt.Errorf("create state directory: %w", err)
	}
	dir = filepath.Join(dir, "consumers")
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("create directory of instance ids: %w", err)
	}
	return dir, nil
}

// stateDir is XDG_STATE_HOME for root too: only PostgreSQL's files cannot be in root's home.
func stateDir() (string, error) {
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "heartbeat"), nil
	}
	return datadir.Default()
}

// readOrWriteName returns the name in a locked file, and writes a new one into an empty file.
func readOrWriteName(file *os.File) (string, error) {
	text, err := io.ReadAll(file)
	if err != nil {
		return "", err
	}
	if name := strings.TrimSpace(string(text)); name != "" {
		return name, nil
	}
	name := "heartbeat-" + strings.ToLower(rand.Text())
	if _, err := file.WriteAt([]byte(name+"\n"), 0); err != nil {
		return "", err
	}
	return name, file.Sync()
}
