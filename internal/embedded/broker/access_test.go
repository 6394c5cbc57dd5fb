package broker

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A directory of an earlier version, readable by every user, is closed to others.
func TestDataIsForItsUserAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := startTestBroker(t, Options{Dir: dir})
	createTopic(t, connect(t, b.Address()), nil)
	produce(t, connect(t, b.Address()), 0, 100, 0)
	stopTestBroker(t, b)
	walk(t, dir, func(path string, entry fs.DirEntry) {
		mode := fs.FileMode(0o644)
		if entry.IsDir() {
			mode = 0o755
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	})
	startTestBroker(t, Options{Dir: dir})
	walk(t, dir, func(path string, entry fs.DirEntry) {
		info, err := entry.Info()
		if os.IsNotExist(err) {
			return // replaced while we look
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry.IsDir() && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v, want 0700", path, info.Mode())
		}
	})
}

func walk(t *testing.T, dir string, visit func(path string, entry fs.DirEntry)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil {
			files++
			visit(path, entry)
		}
		return err
	})
	if err != nil || files < 5 {
		t.Fatalf("%d files below %s: %v", files, dir, err)
	}
}
