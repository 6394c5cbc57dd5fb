package embedded

import (
	"fmt"
	"os"
	"path/filepath"
)

// Root keeps its data outside its home, which no other user may enter: PostgreSQL does not run as root.
const (
	rootDataDir  = "/var/lib/heartbeat"
	rootCacheDir = "/var/cache/heartbeat"
)

// DefaultDataDir returns where data is kept between runs when nobody says otherwise: the user's state directory, or
// /var/lib/heartbeat for root.
func DefaultDataDir() (string, error) {
	if os.Geteuid() == 0 {
		return rootDataDir, nil
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

// defaultCacheDir returns where fetched binaries are kept.
func defaultCacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return rootCacheDir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache directory: %w", err)
	}
	return filepath.Join(cache, "heartbeat"), nil
}
