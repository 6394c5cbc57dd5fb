package pgserver

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// oldestMajor is the first version that the schema works with.
const oldestMajor = 15

// binaryDirs are where distributions put the server: Debian, RHEL, Alpine, Homebrew, source builds, Postgres.app.
var binaryDirs = [...]string{
	"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*",
	"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin", "/usr/local/pgsql/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin", "/usr/bin",
}

// binaries is one installed version of the server.
type binaries struct {
	dir     string
	version string // such as "15.18"
	major   int
}

// chooseBinaries returns the version that is asked for, or that the data on disk needs, or the newest installed one.
func chooseBinaries(ctx context.Context, options Options, onDisk string, runAs *account, log *slog.Logger) (binaries, error) {
	if asked := majorOf(options.Version); onDisk != "" && asked != "" && asked != onDisk {
		return binaries{}, fmt.Errorf("the data was written by version %s and version %s is asked for: run version %[1]s, or start over with fresh data", onDisk, options.Version)
	}
	if options.Version != "" {
		return fetch(ctx, options.Version, options.Cache, runAs, log)
	}
	if found, ok := newest(ctx, onDisk); ok {
		return found, nil
	}
	return fetch(ctx, cmp.Or(onDisk, fetchedMajor), options.Cache, runAs, log)
}

// newest returns the newest installed version, of one major version where major names it.
func newest(ctx context.Context, major string) (binaries, bool) {
	var best binaries
	for _, dir := range candidates(ctx) {
		found, err := inspect(ctx, dir)
		if err != nil || found.major < oldestMajor || (major != "" && strconv.Itoa(found.major) != major) {
			continue
		}
		if found.major > best.major {
			best = found
		}
	}
	return best, best.major > 0
}

// candidates returns the directories to look into: those on the PATH first.
func candidates(ctx context.Context) []string {
	var dirs []string
	if server, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(server))
	}
	if output, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(output)))
	}
	for _, pattern := range binaryDirs {
		matches, _ := filepath.Glob(pattern) // fails on a malformed pattern alone
		dirs = append(dirs, matches...)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// inspect returns the version in dir; initdb must be there too, because some packages split it off.
func inspect(ctx context.Context, dir string) (binaries, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return binaries{}, err
	}
	output, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return binaries{}, err
	}
	return parseVersion(dir, string(output))
}

// parseVersion reads the output of postgres --version, such as "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
func parseVersion(dir, text string) (binaries, error) {
	_, rest, _ := strings.Cut(text, "(PostgreSQL) ")
	version, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	major, err := strconv.Atoi(majorOf(version))
	if err != nil {
		return binaries{}, fmt.Errorf("read version from %q: %w", text, err)
	}
	return binaries{dir: dir, version: version, major: major}, nil
}

func majorOf(version string) string {
	major, _, _ := strings.Cut(version, ".")
	return major
}
