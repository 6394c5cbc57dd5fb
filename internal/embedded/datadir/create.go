package datadir

import (
	"os"
	"path/filepath"
)

// Create makes a directory and those above it that are missing. Another user runs PostgreSQL for root and must be able to enter
// them, so root's get their mode whatever the umask is.
func Create(dir string) error {
	const mode = 0o755
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := Create(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, mode); err != nil && !os.IsExist(err) {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Chmod(dir, mode)
}
