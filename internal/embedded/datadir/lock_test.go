package datadir

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"heartbeat/internal/testkit/child"
)

func TestASecondLockIsRefusedAndNamesTheHolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	release, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("second lock of %s: got %v, want an error that names the directory and process %d", dir, err, os.Getpid())
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	again, err := Lock(dir)
	if err != nil {
		t.Fatalf("lock after release: %v", err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}

func TestALockEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	holder, _ := child.Start(t, "lock", dir, 0)
	if _, err := Lock(dir); err == nil || !strings.Contains(err.Error(), strconv.Itoa(holder.Process.Pid)) {
		t.Errorf("lock held by another process: got %v, want an error that names process %d", err, holder.Process.Pid)
	}
	child.Kill(t, holder)
	release, err := Lock(dir)
	if err != nil {
		t.Fatalf("lock after its holder was killed: %v", err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}
