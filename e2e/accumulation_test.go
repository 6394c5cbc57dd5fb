package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Results of several runs add up: per scenario, environment and version of the product.
func TestReportAccumulatesOverRuns(t *testing.T) {
	t.Parallel()
	report := filepath.Join(t.TempDir(), "reliability.md")
	at := time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC)
	add := func(version string, result scenarioResult) {
		t.Helper()
		at = at.Add(time.Minute)
		entry := reportEntry{reportEnvironment: reportEnvironment{Version: version, Broker: "a broker"}, First: at, Last: at, scenarioResult: result}
		if err := accumulate(report, entry); err != nil {
			t.Fatal(err)
		}
	}
	kill := func(faults int, blind ...time.Duration) scenarioResult {
		return scenarioResult{
			Scenario: "consumer killed", Kind: consumerKill, Rounds: 1, Faults: faults, Events: 100, CaughtUp: time.Duration(faults) * time.Second, Blind: blind,
		}
	}
	add("old", kill(600, time.Second))
	add("new", kill(300, 2*time.Second, 4*time.Second))
	add("new", scenarioResult{Scenario: "deadlock", Rounds: 1, Faults: 1})
	wantReport(t, report, "| consumer kills | 1,000 | 900 | 300 | 0 | 0 | not reached |", "**No record was lost")
	add("new", kill(100, 3*time.Second))
	wantReport(t, report, "| consumer kills | 1,000 | 1,000 | 400 | 0 | 0 | reached |",
		"| consumer killed | 2 | 400 | 200 | 0 | 0 | 300.0 s | 3.0 s | 4.0 s | ok |", "| deadlock | 1 | 1 | 0 | 0 | 0 | – | – | – | ok |",
		"| consumer killed | 1 | 600 | 100 | 0 | 0 | 600.0 s | 1.0 s | 1.0 s | ok |")
	add("old", scenarioResult{Scenario: "deadlock", Rounds: 1, Faults: 1, Failed: 1})
	wantReport(t, report, "**NOT every round passed.**", "| deadlock | 1 | 1 | 0 | 0 | 0 | – | – | – | **1 FAILED** |")

	entries, err := readResults(resultsFile(report))
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Version+" "+e.Scenario)
	}
	if diff := cmp.Diff([]string{"old consumer killed", "new consumer killed", "new deadlock", "old deadlock"}, have); diff != "" {
		t.Errorf("lines of the results (-want +have):\n%s", diff)
	}
}

func wantReport(t *testing.T, report string, want ...string) {
	t.Helper()
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range want {
		if !strings.Contains(string(text), line) {
			t.Errorf("the report has no %q:\n%s", line, text)
		}
	}
}
