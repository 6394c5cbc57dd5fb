// Package grafana provides the provisioning files of a Grafana server for Heartbeat: datasources, dashboards, alert rules and
// notification. They are plain files under provisioning, which Grafana reads at its start; the binary embeds the same files,
// so that they always match its schema.
//
// It does not use Grafana's API and contains no password: settings that differ between installations are variables of the
// Grafana server's environment. The package has no mutable state and may be used concurrently. It is at the end of a
// reading's path: Grafana queries what is stored.
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
		panic(err) // an invalid name, which embedding excludes at compile time
	}
	return provisioning
}

// Write writes the provisioning files into a directory, which it creates if missing. It overwrites earlier versions of its own
// files and does not touch others. It returns the names of the written files, relative to the directory.
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
