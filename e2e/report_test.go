package e2e_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var reportPath = flag.String("report", "", "file that gets a report of what was done, as Markdown")

// tally is what a scenario has come to.
type tally struct {
	scenario      string
	times         int // the fault was seen to happen
	events        int
	lost, doubled int
	caughtUp      time.Duration // after the last fault; 0: the scenario does not measure it
	took          time.Duration
	failed        bool
}

// tallies are those of this test run.
var tallies struct {
	mu   sync.Mutex // guards list
	list []tally
}

// done adds a scenario to the report, with how often its fault was seen to happen. It comes last in a scenario.
func (r *rig) done(scenario string, times int) {
	r.t.Helper()
	result := r.tally
	result.scenario, result.times, result.took = scenario, times, time.Since(r.began)
	r.t.Logf("%s: %d times, %d events, %d lost, %d doubled, caught up in %v", scenario, times, result.events, result.lost, result.doubled, result.caughtUp)
	r.t.Cleanup(func() {
		result.failed = r.t.Failed()
		tallies.mu.Lock()
		defer tallies.mu.Unlock()
		tallies.list = append(tallies.list, result)
	})
}

// progress tells now and then how far a long scenario is.
func progress(t testing.TB, what string, done, of int) {
	t.Helper()
	if of >= 10 && (done+1)%(of/10) == 0 {
		t.Logf("%s: %d of %d", what, done+1, of)
	}
}

// writeReport writes what was done, if that is asked for.
func writeReport(passed bool) error {
	if *reportPath == "" {
		return nil
	}
	slices.SortFunc(tallies.list, func(a, b tally) int { return cmp.Compare(a.scenario, b.scenario) })
	var text strings.Builder
	fmt.Fprintf(&text, `# Reliability

What the fault suite in [e2e](../e2e) has done to Heartbeat, and what came of it. Written by the suite itself; %s.

Lost and doubled are counted by an oracle that shares no code with the consumer: it reads the topic with a client of its own,
judges each record by the contract's words, and compares the outcome with the tables as sets. "Times" counts faults that were seen to happen.

| scenario | times | events | lost | doubled | caught up in | took | |
|---|---:|---:|---:|---:|---:|---:|---|
`, outcome(passed))
	for _, line := range tallies.list {
		caughtUp := "–"
		if line.caughtUp > 0 {
			caughtUp = line.caughtUp.Round(100 * time.Millisecond).String()
		}
		fmt.Fprintf(&text, "| %s | %d | %d | %d | %d | %s | %s | %s |\n", line.scenario, line.times, line.events, line.lost, line.doubled,
			caughtUp, line.took.Round(time.Second), map[bool]string{true: "FAILED", false: "ok"}[line.failed])
	}
	fmt.Fprintf(&text, "\n%s\n", surroundings())
	return os.WriteFile(*reportPath, []byte(text.String()), 0o644)
}

func outcome(passed bool) string {
	if passed {
		return "every scenario passed"
	}
	return "NOT every scenario passed"
}

// surroundings says when, on what and how the report was made.
func surroundings() string {
	broker := "the embedded broker (franz-go's kfake)"
	if onApache() {
		broker = "Apache Kafka 4"
	}
	database := "no PostgreSQL"
	if shared.database.server != nil {
		database = "PostgreSQL " + shared.database.server.server.Version
	}
	commit, _ := exec.Command("git", "rev-parse", "--short", "HEAD").Output() // empty outside a checkout
	return fmt.Sprintf("Made on %s at commit %s with %s, %s and %s on %d cores, the product built with the race detector:\n\n    go test -race ./e2e -args %s",
		time.Now().UTC().Format(time.DateOnly), strings.TrimSpace(string(commit)), runtime.Version(), broker, database, runtime.NumCPU(), strings.Join(ourFlags(), " "))
}

// ourFlags are the flags of this run that are not the test runner's own.
func ourFlags() []string {
	var flags []string
	flag.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") || f.Name == "test.run" || f.Name == "test.parallel" {
			flags = append(flags, fmt.Sprintf("-%s '%s'", f.Name, f.Value))
		}
	})
	return flags
}
