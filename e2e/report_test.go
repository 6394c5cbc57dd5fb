package e2e_test

import (
	"bufio"
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"text/template"
	"time"
)

var reportPath = flag.String("report", "", "Markdown file of the results; they accumulate in a file beside it that ends in .jsonl")

// releaseSize is how many faults of each kind a release must have survived.
var releaseSize = []struct {
	kind     faultKind
	required int
}{
	{consumerKill, 1_000}, {databaseCrash, 200}, {brokerKill, 60}, {zombieRefused, 100}, {unknownCommit, 500}, {poisonRecord, 10_000_000},
}

// reportEntry is a line of the results: the sum over all rounds of a scenario in one environment.
type reportEntry struct {
	reportEnvironment
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	scenarioResult
}

// reportEnvironment is what the results depend on.
type reportEnvironment struct {
	Version    string `json:"version"` // the last commit that changed the product
	Broker     string `json:"broker"`
	PostgreSQL string `json:"postgresql"`
	Machine    string `json:"machine"`
	Race       bool   `json:"race,omitempty"` // built with the race detector
}

// addToReport adds a round to the results and writes the report, where -report names one.
func addToReport(result scenarioResult) error {
	if *reportPath == "" || result.Faults == 0 && result.Failed == 0 {
		return nil
	}
	now := time.Now().UTC().Truncate(time.Second)
	return accumulate(*reportPath, reportEntry{reportEnvironment: currentEnvironment(), First: now, Last: now, scenarioResult: result})
}

func resultsFile(report string) string {
	return strings.TrimSuffix(report, filepath.Ext(report)) + ".jsonl"
}

// accumulate adds an entry to the results beside the report and writes the report from all of them. Test runs that share
// the files take turns by a lock.
func accumulate(report string, entry reportEntry) error {
	results, err := os.OpenFile(resultsFile(report), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer results.Close()
	if err := syscall.Flock(int(results.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", results.Name(), err)
	}
	entries, err := readResults(results.Name())
	if err != nil {
		return err
	}
	at := slices.IndexFunc(entries, func(e reportEntry) bool {
		return e.reportEnvironment == entry.reportEnvironment && e.Scenario == entry.Scenario
	})
	if at < 0 {
		entries = append(entries, entry)
	} else {
		entries[at].add(entry.scenarioResult)
		entries[at].Last = entry.Last
	}
	var lines bytes.Buffer
	for _, e := range entries {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		lines.Write(append(line, '\n'))
	}
	if _, err := results.WriteAt(lines.Bytes(), 0); err != nil {
		return err
	}
	if err := results.Truncate(int64(lines.Len())); err != nil {
		return err
	}
	text, err := renderReport(filepath.Base(results.Name()), entries)
	if err != nil {
		return err
	}
	return os.WriteFile(report, text, 0o644)
}

func readResults(path string) ([]reportEntry, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var entries []reportEntry
	scanner := bufio.NewScanner(bytes.NewReader(text))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var e reportEntry
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, len(entries)+1, err)
		}
		entries = append(entries, e)
	}
	return entries, scanner.Err()
}

//go:embed report.md.tmpl
var reportTemplate string

// reportTotal is a row of the table of release sizes.
type reportTotal struct {
	Kind                         faultKind
	Required, Observed, OnNewest int
	Lost, Doubled                int
	State                        string
}

// reportVersion is the section of one version of the product.
type reportVersion struct {
	Version, First, Last string
	Hours                time.Duration
	Rows                 []reportRow
	Environments         []string
}

type reportRow struct {
	scenarioResult
	BlindMedian, BlindMax time.Duration
	State                 string
}

// renderReport writes the report, the version with the latest result first.
func renderReport(results string, entries []reportEntry) ([]byte, error) {
	latest := map[string]time.Time{}
	byVersion := map[string][]reportEntry{}
	summary := "No record was lost or doubled, and every round passed."
	for _, e := range entries {
		byVersion[e.Version] = append(byVersion[e.Version], e)
		if e.Last.After(latest[e.Version]) {
			latest[e.Version] = e.Last
		}
		if e.Failed > 0 || e.Lost > 0 || e.Doubled > 0 {
			summary = "NOT every round passed."
		}
	}
	var versions []reportVersion
	for version, of := range byVersion {
		versions = append(versions, newReportVersion(version, of))
	}
	slices.SortFunc(versions, func(a, b reportVersion) int { return latest[b.Version].Compare(latest[a.Version]) })
	var text bytes.Buffer
	t := template.Must(template.New("report").Funcs(template.FuncMap{"thousands": thousands, "seconds": seconds}).Parse(reportTemplate))
	err := t.Execute(&text, struct {
		ResultsFile, Summary string
		Totals               []reportTotal
		Versions             []reportVersion
	}{results, summary, reportTotals(entries, versions[0].Version), versions})
	return text.Bytes(), err
}

func reportTotals(entries []reportEntry, newest string) []reportTotal {
	var totals []reportTotal
	for _, size := range releaseSize {
		total := reportTotal{Kind: size.kind, Required: size.required}
		for _, e := range entries {
			if e.Kind != size.kind {
				continue
			}
			total.Observed += e.Faults
			total.Lost += e.Lost
			total.Doubled += e.Doubled
			if e.Version == newest {
				total.OnNewest += e.Faults
			}
		}
		total.State = "not reached"
		if total.Observed >= total.Required {
			total.State = "reached"
		}
		totals = append(totals, total)
	}
	return totals
}

func newReportVersion(version string, entries []reportEntry) reportVersion {
	section := reportVersion{Version: version}
	scenarios := map[string]*scenarioResult{}
	first, last := entries[0].First, entries[0].Last
	for _, e := range entries {
		if scenarios[e.Scenario] == nil {
			scenarios[e.Scenario] = &scenarioResult{Scenario: e.Scenario}
		}
		scenarios[e.Scenario].add(e.scenarioResult)
		section.Hours += e.Duration
		if e.First.Before(first) {
			first = e.First
		}
		if e.Last.After(last) {
			last = e.Last
		}
		if environment := e.describe(); !slices.Contains(section.Environments, environment) {
			section.Environments = append(section.Environments, environment)
		}
	}
	for _, result := range scenarios {
		section.Rows = append(section.Rows, newReportRow(*result))
	}
	slices.SortFunc(section.Rows, func(a, b reportRow) int { return cmp.Compare(a.Scenario, b.Scenario) })
	slices.Sort(section.Environments)
	const layout = "2006-01-02 15:04 UTC"
	section.First, section.Last, section.Hours = first.Format(layout), last.Format(layout), section.Hours.Round(time.Minute)
	return section
}

func newReportRow(result scenarioResult) reportRow {
	row := reportRow{scenarioResult: result, State: "ok"}
	if len(result.Blind) > 0 {
		slices.Sort(result.Blind)
		row.BlindMedian, row.BlindMax = result.Blind[len(result.Blind)/2], result.Blind[len(result.Blind)-1]
	}
	if result.Failed > 0 {
		row.State = fmt.Sprintf("**%d FAILED**", result.Failed)
	}
	return row
}

func (e reportEnvironment) describe() string {
	built := "built without the race detector"
	if e.Race {
		built = "built with the race detector"
	}
	return fmt.Sprintf("%s; PostgreSQL %s; %s; %s", e.Broker, e.PostgreSQL, e.Machine, built)
}

// seconds formats a duration that was measured.
func seconds(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f s", max(0.1, d.Seconds()))
}

// thousands formats a count with commas.
func thousands(count int) string {
	text := strconv.Itoa(count)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// currentEnvironment describes this run. The servers of the round have been started.
func currentEnvironment() reportEnvironment {
	database, _ := shared.postgresVersion.Load().(string)
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return reportEnvironment{
		Version: productVersion(), Broker: brokerVersion(), PostgreSQL: database, Race: raceDetector,
		Machine: fmt.Sprintf("%s/%s, kernel %s, %d × %s", runtime.GOOS, runtime.GOARCH, bytes.TrimSpace(kernel), runtime.NumCPU(), processorName()),
	}
}

// productVersion names the last commit that changed the product, with a mark where the work tree has further changes.
var productVersion = sync.OnceValue(func() string {
	product := []string{"--", "../cmd", "../internal", "../go.mod", ":(exclude,glob)../**/*_test.go", ":(exclude)../internal/bench", ":(exclude)../internal/testkit"}
	commit, err := exec.Command("git", append([]string{"log", "-1", "--format=%h"}, product...)...).Output()
	if err != nil || len(commit) == 0 {
		return "unknown" // outside a checkout
	}
	changes, _ := exec.Command("git", append([]string{"status", "--porcelain"}, product...)...).Output()
	version := string(bytes.TrimSpace(commit))
	if len(changes) > 0 {
		version += " with changes"
	}
	return version
})

// brokerVersion names the broker of this run. Apache Kafka's version is that of the jars that scripts/fetch-kafka downloads.
func brokerVersion() string {
	if !onApache() {
		return "the embedded broker (franz-go's kfake)"
	}
	return "Apache Kafka " + firstMatch("../scripts/kafka/pom.xml", `<kafka.version>(.*)</kafka.version>`)
}

func processorName() string { return firstMatch("/proc/cpuinfo", `(?m)^model name\s*: (.*)$`) }

// firstMatch returns what the pattern's group matches first in a file.
func firstMatch(file, pattern string) string {
	text, _ := os.ReadFile(file) // a missing file gives "unknown"
	if found := regexp.MustCompile(pattern).FindSubmatch(text); found != nil {
		return string(found[1])
	}
	return "unknown"
}
