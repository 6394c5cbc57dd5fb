package pgserver

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"

	"heartbeat/internal/embedded/datadir"
)

// fetchedMajor is what is fetched when neither the options nor the data on disk name a version.
const fetchedMajor = "18"

// releases are the versions that can be fetched, by major version.
var releases = map[string]embeddedpostgres.PostgresVersion{
	"15": embeddedpostgres.V15, "16": embeddedpostgres.V16, "17": embeddedpostgres.V17, "18": embeddedpostgres.V18,
}

// fetch returns the binaries of a version, from the cache or else from the network.
func fetch(ctx context.Context, version, cache string, runAs *account, log *slog.Logger) (binaries, error) {
	release, ok := releases[majorOf(version)]
	if !ok {
		return binaries{}, fmt.Errorf("version %s cannot be fetched: install it, or choose one of 15, 16, 17, 18", version)
	}
	if cache == "" {
		var err error
		if cache, err = datadir.Cache(); err != nil {
			return binaries{}, err
		}
	}
	home := filepath.Join(cache, "postgresql-"+string(release))
	if _, err := os.Stat(home); err != nil {
		if err := fetchInto(ctx, home, release, log); err != nil {
			return binaries{}, fmt.Errorf("fetch PostgreSQL %s: %w; install PostgreSQL %d or later, or use a server of your own", release, err, oldestMajor)
		}
	}
	if err := runAs.checkPath(home); err != nil {
		return binaries{}, err
	}
	return inspect(ctx, filepath.Join(home, "bin"))
}

// fetchInto fetches and unpacks beside home and renames at the end, so that home is complete or absent, whoever else
// fetches at the same time and whenever we are killed.
func fetchInto(ctx context.Context, home string, release embeddedpostgres.PostgresVersion, log *slog.Logger) error {
	if err := os.MkdirAll(filepath.Dir(home), 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(filepath.Dir(home), "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	log.Info("fetching PostgreSQL, once", "version", release, "into", home)
	began := time.Now()
	if err := unpack(ctx, scratch, release); err != nil {
		return err
	}
	log.Info("fetched PostgreSQL", "version", release, "took", time.Since(began).Round(time.Millisecond))
	err = os.Rename(filepath.Join(scratch, "unpacked"), home)
	if _, statErr := os.Stat(home); statErr == nil {
		return nil // ours or another's, both complete
	}
	return err
}

// unpack lets the library fetch and unpack the binaries and nothing more. It exports no such call, and its Start would run the
// server as root. But it unpacks before it starts: given a data directory that says "PostgreSQL 18" and holds nothing
// else, Start takes that for data to be kept, and pg_ctl refuses it at once. So whether the binaries run is what counts.
func unpack(ctx context.Context, scratch string, release embeddedpostgres.PostgresVersion) error {
	unpacked, data := filepath.Join(scratch, "unpacked"), filepath.Join(scratch, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(majorOf(string(release))), 0o600); err != nil {
		return err
	}
	config := embeddedpostgres.DefaultConfig().Version(release).Port(0).Logger(io.Discard).
		CachePath(scratch).RuntimePath(filepath.Join(scratch, "run")).BinariesPath(unpacked).DataPath(data)
	refused := make(chan error, 1)
	go func() { refused <- embeddedpostgres.NewDatabase(config).Start() }()
	select {
	case err := <-refused:
		if _, inspectErr := inspect(ctx, filepath.Join(unpacked, "bin")); inspectErr != nil {
			return err
		}
		return nil
	case <-ctx.Done(): // the library cannot be interrupted; its goroutine ends with its download
		return ctx.Err()
	}
}
