package pgserver

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"heartbeat/internal/embedded/datadir"
)

// fetchedMajor is the version to download when neither the options nor the data on disk name one.
const fetchedMajor = "18"

// releases are the versions that can be downloaded, by major version.
var releases = map[string]string{"15": "15.13.0", "16": "16.9.0", "17": "17.5.0", "18": "18.3.0"}

// fetch returns the programs of a version, from the cache or from the network.
func fetch(ctx context.Context, version, cache string, runAs *account, log *slog.Logger) (binaries, error) {
	release, ok := releases[majorOf(version)]
	if !ok {
		return binaries{}, fmt.Errorf("version %s cannot be downloaded: install it, or choose one of 15, 16, 17, 18", version)
	}
	if cache == "" {
		var err error
		if cache, err = datadir.Cache(); err != nil {
			return binaries{}, err
		}
	}
	home := filepath.Join(cache, "postgresql-"+release)
	if _, err := os.Stat(home); err != nil {
		if err := fetchInto(ctx, home, release, log); err != nil {
			return binaries{}, fmt.Errorf("download PostgreSQL %s: %w; install PostgreSQL %d or later, or use a server of your own", release, err, oldestMajor)
		}
	}
	if err := runAs.checkPath(home); err != nil {
		return binaries{}, err
	}
	return inspect(ctx, filepath.Join(home, "bin"))
}

// fetchInto unpacks beside home and renames at the end, so that home is complete or absent, also when several processes
// download at the same time or one is killed.
func fetchInto(ctx context.Context, home, release string, log *slog.Logger) error {
	if err := datadir.Create(filepath.Dir(home)); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(filepath.Dir(home), "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	log.Info("downloading PostgreSQL, once", "version", release, "into", home)
	began := time.Now()
	archive, err := download(ctx, artifact(release))
	if err != nil {
		return err
	}
	unpacked := filepath.Join(scratch, "unpacked")
	if err := unpack(ctx, archive, unpacked); err != nil {
		return err
	}
	if _, err := inspect(ctx, filepath.Join(unpacked, "bin")); err != nil {
		return fmt.Errorf("run the downloaded server: %w", err)
	}
	log.Info("downloaded PostgreSQL", "version", release, "took", time.Since(began).Round(time.Millisecond))
	err = os.Rename(unpacked, home)
	if _, statErr := os.Stat(home); statErr == nil {
		return nil // ours or another process's, both complete
	}
	return err
}
