package e2e_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

var reportPath = flag.String("report", "", "file that gets a report of what was done, as Markdown")

// report is what this test run has come to.
var report struct {
	began time.Time

	mu      sync.Mutex // guards tallies
	tallies []scenarioResult
}

// enter adds a scenario to the report.
func addResult(scenario scenarioResult) {
	report.mu.Lock()
	defer report.mu.Unlock()
	report.tallies = append(report.tallies, scenario)
}

// writeReport writes what was done, if that is asked for, whatever has become of it.
func writeReport(passed bool) error {
	if *reportPath == "" {
		return nil
	}
	report.mu.Lock()
	defer report.mu.Unlock()
	slices.SortFunc(report.tallies, func(a, b scenarioResult) int { return cmp.Compare(a.scenario, b.scenario) })
	var text bytes.Buffer
	fmt.Fprintf(&text, `# Reliability

What the fault suite in [e2e](../e2e) has done to Heartbeat, and what came of it. Written by the suite itself; **%s**.

Lost and doubled are counted by an oracle that shares no code with the consumer: it reads the topic with a client of its own,
judges each record by the contract's words, and compares the outcome with the tables as sets. "Times" counts faults that
were seen to happen. Each round has a topic and a database of its own. "Caught up in" is the longest, over the rounds, from
the end of the last fault until all was stored that the topic held; a dash where that is not measured.

| scenario | rounds | times | events | lost | doubled | caught up in | |
|---|---:|---:|---:|---:|---:|---:|---|
`, suiteResult(passed))
	for _, line := range report.tallies {
		fmt.Fprintln(&text, line.row())
	}
	text.WriteString(describeRun())
	return os.WriteFile(*reportPath, text.Bytes(), 0o644)
}

// row shows the tally as a row of the report.
func (total scenarioResult) row() string {
	caughtUp, result := "–", "ok"
	if total.caughtUp > 0 {
		caughtUp = fmt.Sprintf("%.1f s", max(0.1, total.caughtUp.Seconds()))
	}
	switch {
	case total.failed:
		result = "**FAILED**"
	case total.times == 0:
		result = "not done here"
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %d | %s | %s |",
		total.scenario, total.rounds, total.times, total.events, total.lost, total.doubled, caughtUp, result)
}

func suiteResult(passed bool) string {
	if passed {
		return "every scenario passed"
	}
	return "NOT every scenario passed"
}

// surroundings says when, on what and how the report was made.
func describeRun() string {
	commit, _ := exec.Command("git", "rev-parse", "--short", "HEAD").Output() // empty outside a checkout
	database := "none"
	if shared.database.server != nil {
		database = shared.database.server.server.Version
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf(`
| | |
|---|---|
| date | %s UTC, %v long |
| commit | %s, built with the race detector |
| Go | %s |
| broker | %s |
| PostgreSQL | %s |
| machine | %s/%s, kernel %s, %d × %s |

    %s

%s runs it with the counts in the Makefile; more rounds, or %s, make it longer.
`, report.began.UTC().Format("2006-01-02 15:04"), time.Since(report.began).Round(time.Second), bytes.TrimSpace(commit),
		strings.TrimPrefix(runtime.Version(), "go"), brokerVersion(), database,
		runtime.GOOS, runtime.GOARCH, bytes.TrimSpace(kernel), runtime.NumCPU(), processorName(), testCommand(), "`make soak`", "`-for 10m` for each scenario")
}

// brokerVersion names the broker of this run. Apache Kafka's version is that of the jars that scripts/fetch-kafka fetches.
func brokerVersion() string {
	if !onApache() {
		return "the embedded one (franz-go's kfake)"
	}
	return "Apache Kafka " + firstMatch("../scripts/kafka/pom.xml", `<kafka.version>(.*)</kafka.version>`)
}

func processorName() string { return firstMatch("/proc/cpuinfo", `(?m)^model name\s*: (.*)$`) }

// firstIn returns what the group of the pattern matches first in a file.
func firstMatch(file, pattern string) string {
	text, _ := os.ReadFile(file) // what is not there is unknown
	if found := regexp.MustCompile(pattern).FindSubmatch(text); found != nil {
		return string(found[1])
	}
	return "unknown"
}

// ourCommand is how this run was started, without where the report goes.
func testCommand() string {
	var ours, runner []string
	flag.Visit(func(f *flag.Flag) {
		name, isRunners := strings.CutPrefix(f.Name, "test.")
		switch {
		case name == "run" || name == "parallel":
			runner = append(runner, fmt.Sprintf("-%s '%s'", name, f.Value))
		case !isRunners && name != "report":
			ours = append(ours, fmt.Sprintf("-%s %s", name, f.Value))
		}
	})
	environment := ""
	for _, name := range []string{"HEARTBEAT_TEST_BROKER", "HEARTBEAT_TEST_POSTGRES"} {
		if value := os.Getenv(name); value != "" {
			environment += name + "=" + value + " "
		}
	}
	return fmt.Sprintf("%sgo test -race -count 1 -timeout 0 %s ./e2e -args %s", environment, strings.Join(runner, " "), strings.Join(ours, " "))
}
