// Package internal_test holds the table of allowed imports against the code: data flows one way, and so do imports.
package internal_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// allowed names, for each package of the module, the packages of the module it may import. Imports point inwards:
// cmd → app and simulator → adapters → pipeline → detect and simulate → heartbeat.
var allowed = map[string][]string{
	"internal/backoff":        {},
	"internal/heartbeat":      {},
	"internal/detect":         {"internal/heartbeat"},
	"internal/repeat":         {"internal/heartbeat"},
	"internal/format":         {"internal/heartbeat"},
	"internal/silence":        {"internal/detect"},
	"internal/alarm":          {"internal/heartbeat", "internal/detect"},
	"internal/alarmfeed":      {"internal/alarm", "internal/backoff"},
	"internal/notify":         {"internal/alarm", "internal/notify"},
	"internal/alarmreplay":    {"internal/alarm", "internal/detect", "internal/heartbeat", "internal/repeat"},
	"internal/simulate":       {"internal/heartbeat"},
	"internal/suggest":        {"internal/detect", "internal/heartbeat"},
	"internal/storedlog":      {"internal/alarm", "internal/alarmreplay", "internal/audit", "internal/heartbeat", "internal/kafka", "internal/postgres", "internal/progress"},
	"internal/dryrun":         {"internal/alarm", "internal/backoff", "internal/detect", "internal/heartbeat"},
	"internal/evaluate":       {"internal/detect", "internal/heartbeat", "internal/silence", "internal/simulate"},
	"internal/pipeline":       {"internal/heartbeat", "internal/detect", "internal/alarm", "internal/silence", "internal/repeat", "internal/backoff"},
	"internal/crashpoint":     {},
	"internal/kafka":          {"internal/heartbeat", "internal/repeat", "internal/progress", "internal/backoff"},
	"internal/kafka/consumer": {"internal/heartbeat", "internal/kafka", "internal/pipeline", "internal/repeat", "internal/crashpoint", "internal/backoff"},
	"internal/kafka/producer": {"internal/heartbeat", "internal/kafka"},
	"internal/readmodel":      {},
	"internal/audit":          {"internal/progress"},
	"internal/parquetfile":    {"internal/readmodel"},
	"internal/importer":       {"internal/backoff", "internal/format", "internal/heartbeat", "internal/kafka", "internal/postgres", "internal/progress"},
	"internal/export":         {"internal/parquetfile", "internal/readmodel"},
	"internal/live":           {"internal/heartbeat"},
	"internal/httpserver":     {"internal/port"},
	"internal/progress":       {},
	"internal/status":         {"internal/backoff", "internal/progress", "internal/readmodel"},
	"internal/stream":         {"internal/httpserver", "internal/live", "internal/status"},
	"internal/alarmapi":       {"internal/alarm", "internal/auth", "internal/dryrun", "internal/users", "internal/heartbeat", "internal/httpserver", "internal/suggest"},
	"internal/web":            {"internal/auth", "internal/export", "internal/users", "internal/alarm", "internal/alarmapi", "internal/heartbeat", "internal/httpserver", "internal/live", "internal/progress", "internal/readmodel", "internal/status", "internal/stream"},
	"internal/ingestapi":      {"internal/device", "internal/format", "internal/heartbeat", "internal/httpserver", "internal/kafka/producer"},
	"internal/users":          {},
	"internal/auth":           {"internal/backoff", "internal/httpserver", "internal/users"},
	"internal/port":           {},
	"internal/bench/report":   {},
	"internal/bench/httpload": {"internal/heartbeat"},
	"internal/bench/procstat": {},

	// postgres is the base of the packages below it, and stands on pgwire.
	"internal/postgres":             {"internal/pipeline"},
	"internal/postgres/pgwire":      {"internal/crashpoint"},
	"internal/postgres/schema":      {"internal/postgres"},
	"internal/postgres/ingest":      {"internal/alarm", "internal/heartbeat", "internal/detect", "internal/pipeline", "internal/repeat", "internal/silence", "internal/postgres", "internal/postgres/alarmstore", "internal/readmodel", "internal/crashpoint"},
	"internal/postgres/partition":   {"internal/backoff", "internal/postgres"},
	"internal/postgres/query":       {"internal/heartbeat", "internal/postgres", "internal/progress", "internal/readmodel"},
	"internal/postgres/alarmstore":  {"internal/alarm", "internal/backoff", "internal/detect", "internal/heartbeat", "internal/pipeline", "internal/postgres", "internal/suggest"},
	"internal/postgres/outbox":      {"internal/alarm", "internal/notify", "internal/readmodel"},
	"internal/postgres/userstore":   {"internal/users"},
	"internal/postgres/devicestore": {"internal/device", "internal/heartbeat"},
	"internal/postgres/importstore": {"internal/heartbeat", "internal/postgres"},
	"internal/postgres/pgtest":      {"internal/heartbeat", "internal/pipeline", "internal/postgres", "internal/embedded/pgserver"},
	"internal/bench/probe":          {"internal/postgres/ingest"},

	"internal/probeserver": {"internal/port"},
	"internal/instanceid":  {"internal/embedded/datadir"},
	"internal/lagmonitor":  {"internal/backoff", "internal/kafka", "internal/pipeline", "internal/postgres", "internal/progress"},
	"internal/device":      {"internal/backoff", "internal/heartbeat"},
	"internal/doctor":      {"internal/backoff", "internal/kafka", "internal/port", "internal/postgres", "internal/progress"},
	"internal/notifier":    {"internal/backoff", "internal/notify", "internal/postgres", "internal/probeserver", "internal/readmodel"},
	"internal/simulator":   {"internal/backoff", "internal/kafka", "internal/probeserver", "internal/simulate"},

	"internal/process":           {},
	"internal/embedded/datadir":  {},
	"internal/embedded/broker":   {"internal/backoff", "internal/embedded/datadir", "internal/port"},
	"internal/embedded/pgserver": {"internal/backoff", "internal/embedded/datadir", "internal/port", "internal/process"},
	"internal/testkit":           {"internal/port", "internal/process"},
}

// owners names the only packages that may import an adapter's library.
var owners = map[string][]string{
	"github.com/twmb/franz-go/pkg/kfake": {"internal/embedded/broker", "internal/testkit/fakekafka"},
	"github.com/twmb/franz-go":           {"internal/kafka", "internal/embedded/broker", "internal/testkit/fakekafka"},
	"github.com/parquet-go/parquet-go":   {"internal/parquetfile"},
	"github.com/jackc/pgx":               {"internal/postgres", "internal/bench/probe"},
}

func TestImportsPointInwards(t *testing.T) {
	t.Parallel()
	for name, imports := range packages(t) {
		top, ok := rule(name)
		if !ok {
			continue // cmd, app and tests meet every adapter
		}
		for _, imported := range imports {
			inner, ours := strings.CutPrefix(imported, "heartbeat/")
			if ours && !within(inner, top) && !slices.ContainsFunc(allowed[top], func(a string) bool { return within(inner, a) }) {
				t.Errorf("%s imports %s, which the table does not allow", name, inner)
			}
		}
	}
}

func TestLibrariesHaveOneOwner(t *testing.T) {
	t.Parallel()
	for name, imports := range packages(t) {
		if strings.HasPrefix(name, "e2e") || strings.HasPrefix(name, "scripts") {
			continue
		}
		for library, packages := range owners {
			imports := slices.ContainsFunc(imports, func(i string) bool { return within(i, library) })
			if imports && !slices.ContainsFunc(packages, func(p string) bool { return within(name, p) }) {
				t.Errorf("%s imports %s, which only %s may", name, library, strings.Join(packages, ", "))
			}
		}
	}
}

// maxFiles is how many source files a package may have, tests aside. A larger package has more than one idea.
const maxFiles = 15

func TestPackagesAreSmall(t *testing.T) {
	t.Parallel()
	for name := range packages(t) {
		if name == "cmd/heartbeat" { // one file for each subcommand
			continue
		}
		sources, err := filepath.Glob(filepath.Join("..", name, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		sources = slices.DeleteFunc(sources, func(path string) bool { return strings.HasSuffix(path, "_test.go") })
		if len(sources) > maxFiles {
			t.Errorf("%s has %d source files, want at most %d: split it by idea", name, len(sources), maxFiles)
		}
	}
}

func TestTestkitIsForTestsAlone(t *testing.T) {
	t.Parallel()
	for name, imports := range packages(t) {
		for _, imported := range imports {
			if within(imported, "heartbeat/internal/testkit") && !within(name, "internal/testkit") {
				t.Errorf("%s imports %s outside its tests", name, imported)
			}
		}
	}
}

// rule returns the narrowest entry of the table that a package falls under.
func rule(name string) (top string, ok bool) {
	for entry := range allowed {
		if within(name, entry) && len(entry) >= len(top) {
			top, ok = entry, true
		}
	}
	return top, ok
}

func within(path, top string) bool {
	return path == top || strings.HasPrefix(path, top+"/")
}

// packages lists the module's packages with their imports, tests aside.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "heartbeat/...")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		imports[strings.TrimPrefix(fields[0], "heartbeat/")] = fields[1:]
	}
	return imports
}
