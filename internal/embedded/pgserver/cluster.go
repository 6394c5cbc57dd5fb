package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"heartbeat/internal/port"
	"heartbeat/internal/process"
)

// readyPoll is how often the pid file of a starting server is read: it says when the server is ready.
const readyPoll = 10 * time.Millisecond

// cluster is one data directory and the server that runs on it; PostgreSQL calls it a database cluster.
type cluster struct {
	dir      string
	options  Options
	account  *account
	binaries binaries
	log      *slog.Logger
}

// start starts the server, whatever state the directory is in, and returns it with its port.
func (c *cluster) start(ctx context.Context) (*process.Process, int, error) {
	if err := c.account.createDir(filepath.Dir(c.dir)); err != nil {
		return nil, 0, fmt.Errorf("prepare data directory: %w", err)
	}
	if err := c.stopOrphan(ctx); err != nil {
		return nil, 0, err
	}
	var err error
	if c.binaries, err = chooseBinaries(ctx, c.options, c.majorOnDisk(), c.account, c.log); err != nil {
		return nil, 0, err
	}
	if c.majorOnDisk() == "" {
		if err := c.create(ctx); err != nil {
			return nil, 0, fmt.Errorf("create database cluster in %s: %w", c.dir, err)
		}
	}
	if err := c.provision(ctx); err != nil {
		return nil, 0, fmt.Errorf("create user %q and database %q: %w", c.options.User, c.options.Database, err)
	}
	return c.listen(ctx)
}

// majorOnDisk returns the major version that wrote the data, "" where there is none yet.
func (c *cluster) majorOnDisk() string {
	text, err := os.ReadFile(filepath.Join(c.dir, "PG_VERSION"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// create makes a new cluster under another name and renames it when it is complete, so that a run that is killed leaves nothing
// that looks like data.
func (c *cluster) create(ctx context.Context) error {
	unfinished := c.dir + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if _, err := c.superuserPassword(); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + unfinished, "--username=" + superuser, "--pwfile=" + c.passwordFile(), "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=" + locale(), "--no-instructions",
	}
	if c.options.Settings["fsync"] == "off" {
		args = append(args, "--no-sync")
	}
	if _, err := c.program(ctx, "", "initdb", args...); err != nil {
		return err
	}
	if err := os.Remove(c.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // the directory has files that are not ours
	}
	return os.Rename(unfinished, c.dir)
}

// locale orders text by code point, as our indexes do. macOS has no C.UTF-8; there the encoding alone makes text UTF-8.
func locale() string {
	if runtime.GOOS == "linux" {
		return "C.UTF-8"
	}
	return "C"
}

// program runs one of PostgreSQL's programs to its end and returns what it printed.
func (c *cluster) program(ctx context.Context, input, name string, args ...string) (string, error) {
	return process.Run(ctx, process.Command{
		Path: filepath.Join(c.binaries.dir, name), Args: args, Env: serverEnv(), Dir: filepath.Dir(c.dir),
		Input: input, Credential: c.account.credential(), DeathSignal: syscall.SIGTERM,
	})
}

// serverEnv is the environment without variables that would change the server: PGDATA, PGPORT and the like, and the language
// of messages.
func serverEnv() []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "PG") || strings.HasPrefix(entry, "LC_") || strings.HasPrefix(entry, "LANG")
	})
	return append(env, "LC_ALL="+locale())
}

// listen runs the server on the port of the options and waits until it is ready.
func (c *cluster) listen(ctx context.Context) (*process.Process, int, error) {
	for attempt := 1; ; attempt++ {
		on, err := port.Choose(c.options.Port, c.options.PortAsked)
		if err != nil {
			return nil, 0, err
		}
		server, err := c.run(ctx, on)
		if err == nil {
			c.reportPort(on)
			return server, on, nil
		}
		if attempt == startAttempts || ctx.Err() != nil || port.Probe(on) == nil {
			return nil, 0, err
		}
	}
}

func (c *cluster) reportPort(on int) {
	if c.options.Port != 0 && on != c.options.Port {
		c.log.Warn("port is taken, using the next free one", "wanted", c.options.Port, "port", on)
	}
	c.log.Info("server is ready", "version", c.binaries.version, "port", on, "data", c.dir)
}

func (c *cluster) run(ctx context.Context, on int) (*process.Process, error) {
	server, err := process.Start(process.Command{
		Path:        filepath.Join(c.binaries.dir, "postgres"),
		Args:        c.arguments(on),
		Env:         serverEnv(),
		Dir:         filepath.Dir(c.dir),
		Credential:  c.account.credential(),
		DeathSignal: syscall.SIGINT, // a fast shutdown
		Output:      func(line string) { c.log.Debug("server log", "line", line) },
	})
	if err != nil {
		return nil, err
	}
	if err := c.awaitReady(ctx, server); err != nil {
		return nil, err
	}
	return server, nil
}

// arguments bind the server to the loopback address alone. It gets no Unix socket: the path could be too long, and in a shared
// directory such as /tmp another user could put a socket of the same name.
func (c *cluster) arguments(on int) []string {
	settings := map[string]string{}
	maps.Copy(settings, c.options.Settings)
	settings["listen_addresses"] = port.Host
	settings["port"] = strconv.Itoa(on)
	settings["unix_socket_directories"] = ""
	settings["logging_collector"] = "off"
	args := []string{"-D", c.dir}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// awaitReady waits until the server accepts connections; after a crash that takes as long as its recovery.
func (c *cluster) awaitReady(ctx context.Context, server *process.Process) error {
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		if pid, ok := c.readPidFile(); ok && pid.ready && pid.pid == server.Pid() {
			return nil
		}
		select {
		case <-poll.C:
		case <-server.Done():
			return server.Err()
		case <-ctx.Done():
			stopped := server.Stop(context.WithoutCancel(ctx), stopGrace, syscall.SIGINT, syscall.SIGQUIT)
			return fmt.Errorf("wait for the server: %w", errors.Join(ctx.Err(), stopped))
		}
	}
}
