// Package datadir says where `heartbeat up` keeps its data and fetched programs, and locks a data directory for one process.
//
// It refuses to look into the data. Lock may be called from any goroutine and process. It is not on the path of a reading:
// the embedded servers keep their files there.
package datadir

import (
	"fmt"
	"os"
	"path/filepath"
)

// Root's files lie outside its home, which PostgreSQL's user may not enter.
const (
	Root      = "/var/lib/heartbeat"
	rootCache = "/var/cache/heartbeat"
)

// Default returns where data is kept between runs without --data-dir: the user's state directory, or /var/lib/heartbeat for
// root.
func Default() (string, error) {
	if os.Geteuid() == 0 {
		return Root, nil
	}
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "heartbeat"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a data directory: %w; name one", err)
	}
	return filepath.Join(home, ".local", "state", "heartbeat"), nil
}

// Cache returns where fetched binaries are kept.
func Cache() (string, error) {
	if os.Geteuid() == 0 {
		return rootCache, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache directory: %w", err)
	}
	return filepath.Join(cache, "heartbeat"), nil
}
