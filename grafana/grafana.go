// Package grafana carries what a Grafana server must be told to show Heartbeat: datasources, dashboards, alert rules and
// whom to notify. They are plain files under provisioning, which Grafana reads at its start; the binary embeds the same
// files, so that they always fit its schema.
//
// It refuses to know Grafana's API or any password: what differs between installations are variables of the Grafana
// server's environment. Nothing here is mutable, so everything may be used concurrently. On the path of a reading it is
// one of the ends: it looks at what is stored.
package grafana

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed provisioning
var files embed.FS

// Files returns the provisioning directory as Grafana expects it.
func Files() fs.FS {
	provisioning, err := fs.Sub(files, "provisioning")
	if err != nil {
		panic(err) // the name is not valid, which the compiler's embedding excludes
	}
	return provisioning
}

// Write puts the provisioning directory's content into a directory, which is created where there is none. It overwrites
// earlier versions of its own files and leaves all others alone. It returns the names it has written, relative to the directory.
func Write(directory string) (written []string, err error) {
	provisioning := Files()
	err = fs.WalkDir(provisioning, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(directory, filepath.FromSlash(name))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		content, err := fs.ReadFile(provisioning, name)
		if err != nil {
			return err
		}
		written = append(written, name)
		return os.WriteFile(target, content, 0o644)
	})
	if err != nil {
		return nil, fmt.Errorf("write Grafana's provisioning files: %w", err)
	}
	return written, nil
}
