package broker

import (
	"io/fs"
	"os"
	"path/filepath"
)

// restrict takes a directory and what is in it away from other users. Files that kfake creates later are in directories that
// others cannot enter.
func restrict(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir():
			return os.Chmod(path, 0o700)
		case entry.Type().IsRegular():
			return os.Chmod(path, 0o600)
		default:
			return nil
		}
	})
}
