package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/testkit/prerequisite"
)

// connections are idle sessions that occupy the server's connection slots.
type connections struct {
	address string
	conns   []*pgx.Conn
}

func openConnections(t testing.TB, address string) *connections {
	c := &connections{address: address}
	t.Cleanup(c.close)
	if err := c.openMore(t); err == nil && len(c.conns) == 0 {
		t.Fatal("no connection")
	}
	return c
}

// openMore connects until the server refuses, and returns its error; nil after a hundred.
func (c *connections) openMore(t testing.TB) error {
	for range 100 {
		conn, err := pgx.Connect(t.Context(), c.address)
		if err != nil {
			return err
		}
		c.conns = append(c.conns, conn)
	}
	return nil
}

// terminateOthers ends all other sessions of the product and returns how many there were.
func (c *connections) terminateOthers(t testing.TB) (ended int64) {
	t.Helper()
	err := c.conns[0].QueryRow(t.Context(), `
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name LIKE 'heartbeat%'`).Scan(&ended)
	if err != nil {
		t.Fatalf("end sessions: %v", err)
	}
	return ended
}

func (c *connections) close() {
	for _, conn := range c.conns {
		_ = conn.Close(context.Background()) // the server may have closed it before
	}
	c.conns = nil
}

// smallDisk is a small file system with a tablespace.
type smallDisk struct {
	server *postgresServer
	path   string
	space  string
}

// newSmallDisk needs the right to mount, that is root.
func newSmallDisk(t testing.TB, server *postgresServer, size int) *smallDisk {
	t.Helper()
	path, err := os.MkdirTemp(scratch, "disk-")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0777", size)); err != nil {
		prerequisite.Missing(t, "a full disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		server.stop()
		if err := syscall.Unmount(path, 0); err != nil {
			t.Errorf("unmount the small disk: %v", err)
		}
	})
	info, err := os.Stat(filepath.Join(server.options.Dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	space := filepath.Join(path, "space")
	if err := errors.Join(os.Mkdir(space, 0o700), os.Chown(space, int(owner.Uid), int(owner.Gid))); err != nil {
		t.Fatal(err)
	}
	return &smallDisk{server: server, path: path, space: space}
}

// createDatabase makes an empty database on the disk and returns its address.
func (d *smallDisk) createDatabase(t testing.TB) string {
	t.Helper()
	admin := connect(t, d.server.url("postgres"))
	defer admin.Close()
	for _, statement := range []string{`CREATE TABLESPACE small LOCATION '` + d.space + `'`, `CREATE DATABASE on_small_disk TABLESPACE small`} {
		if _, err := admin.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	return d.server.url("on_small_disk")
}

func (d *smallDisk) filler() string { return filepath.Join(d.path, "filler") }

// fill fills the disk.
func (d *smallDisk) fill(t testing.TB) {
	t.Helper()
	file, err := os.Create(d.filler())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	block := make([]byte, 1<<16)
	for err == nil {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
}

// empty frees the space again.
func (d *smallDisk) empty(t testing.TB) {
	t.Helper()
	if err := os.Remove(d.filler()); err != nil {
		t.Fatal(err)
	}
}
