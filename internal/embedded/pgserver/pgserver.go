// Package pgserver runs a private PostgreSQL server for `heartbeat up` and the tests, with programs that are installed on this
// machine or downloaded.
//
// It refuses to be a production server: it listens on the loopback address alone, takes no settings but those of its caller,
// and speaks no SQL beyond creating user and database. Start may be called concurrently, but a directory serves one server at
// a time: Start locks it, and the kernel drops the lock when the process dies. The context bounds the start, not the life of
// the server. Unix only.
//
// It is not on the path of a reading: internal/postgres connects to it as to any other server.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"heartbeat/internal/embedded/datadir"
	"heartbeat/internal/port"
	"heartbeat/internal/process"
)

const (
	// stopGrace is how long the server may take after each signal to stop before the next, harder one.
	stopGrace = 30 * time.Second
	// startAttempts covers a port that another program takes between our choice and the server's bind.
	startAttempts = 3
)

// Options say which server to run and where. Database, User and Password must be given.
type Options struct {
	Dir       string // kept between runs; "" is a temporary directory, removed by Stop
	Port      int    // 0 is any free one
	PortAsked bool   // the port was asked for: refuse where it is taken, rather than use the next free one

	Database string
	User     string // owns the database
	Password string

	Superuser bool // make the user a superuser, for tests and benchmarks

	// Version is the major version to run, such as "18", which is downloaded once. Empty means the version that wrote the data
	// in Dir, else the newest installed one, else one that is downloaded.
	Version string
	Cache   string // where downloaded versions are kept; "" is the user's cache directory

	Settings map[string]string // server settings beyond the defaults
	Logger   *slog.Logger      // nil logs nothing
}

// Server is a running server. It listens on the loopback address alone and asks for the password.
type Server struct {
	Port     int // what it listens on, which may not be the port in the options
	Database string
	User     string
	Password string
	Version  string // such as "15.18"

	process  *process.Process
	done     chan struct{}
	released error // of giving the directory back; set before done is closed
}

// Start starts the server, creating its data, user and database where needed, and returns once it accepts
// connections. A server that a killed run left behind on the same data is stopped first. The context bounds the start alone.
func Start(ctx context.Context, options Options) (*Server, error) {
	p, err := start(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return p, nil
}

func start(ctx context.Context, options Options) (*Server, error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	dir, release, err := claimDir(options.Dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	c := &cluster{dir: data, options: options, account: serverAccount(data), log: options.Logger.With("component", "postgres")}
	server, on, err := c.start(ctx)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	p := &Server{
		Port: on, Database: options.Database, User: options.User, Password: options.Password, Version: c.binaries.version,
		process: server, done: make(chan struct{}),
	}
	go p.releaseDir(release)
	return p, nil
}

// releaseDir waits for the end of the server, however it ends, and gives the directory back.
func (p *Server) releaseDir(release func() error) {
	<-p.process.Done()
	p.released = release()
	close(p.done)
}

// validate refuses line ends: the single-user server that creates user and database reads one statement a line.
func (o Options) validate() error {
	for name, value := range map[string]string{"database": o.Database, "user": o.User, "password": o.Password} {
		if value == "" || strings.ContainsAny(value, "\x00\r\n") {
			return fmt.Errorf("%s must not be empty and must be one line", name)
		}
	}
	if o.Port < 0 || o.Port > 65535 {
		return fmt.Errorf("port %d is not between 0 and 65535", o.Port)
	}
	return nil
}

// claimDir locks the directory, or makes a temporary one, which release removes.
func claimDir(dir string) (string, func() error, error) {
	if dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", nil, err
		}
		release, err := datadir.Lock(abs)
		if err != nil {
			return "", nil, err
		}
		resolved, err := filepath.EvalSymlinks(abs) // stopOrphan recognises a server by this path
		return resolved, release, err
	}
	dir, err := os.MkdirTemp("", "heartbeat-postgres-")
	if err != nil {
		return "", nil, fmt.Errorf("create temporary directory: %w", err)
	}
	// The server's user must be able to pass; the data within is closed to others.
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", nil, err
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}

// URL returns the address for clients, with user and password.
func (p *Server) URL() string {
	address := url.URL{
		Scheme: "postgres", User: url.UserPassword(p.User, p.Password),
		Host: port.Address(p.Port), Path: "/" + p.Database, RawQuery: "sslmode=disable",
	}
	return address.String()
}

// Done is closed when the server has ended, by Stop or by itself, and its directory is free for another.
func (p *Server) Done() <-chan struct{} { return p.done }

// Err tells why the server ended by itself; it is nil while it runs and after Stop.
func (p *Server) Err() error { return p.process.Err() }

// Stop ends all sessions and shuts the server down cleanly. When ctx ends before that is done it is cut short, which costs
// the next start a recovery and no data.
func (p *Server) Stop(ctx context.Context) error {
	err := p.process.Stop(ctx, stopGrace, syscall.SIGINT, syscall.SIGQUIT)
	<-p.done
	if err = errors.Join(err, p.released); err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	return nil
}
