package evaluate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/simulate"
)

// contract is a fleet with the contract's injections.
func contract(customers int, duration time.Duration) Fleet {
	return Fleet{
		Customers: customers, Duration: duration, Interval: 5 * time.Second, AnomalyRate: 0.05, InvalidRate: 0.005, Seed: 42,
		Episodes: simulate.DefaultRates(),
	}
}

// TestTargetsAreMet is the published measurement at the size of a test, with ten times the tachycardias and bradycardias.
func TestTargetsAreMet(t *testing.T) {
	t.Parallel()
	fleet := contract(200, 12*time.Hour)
	fleet.Episodes[simulate.Tachycardia] *= 10
	fleet.Episodes[simulate.Bradycardia] *= 10
	result, err := Run(t.Context(), Options{Fleet: fleet})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Targets) != 5 {
		t.Errorf("%d targets, want 5: %+v", len(result.Targets), result.Targets)
	}
	for _, target := range result.Targets {
		t.Logf("%s: %s, want %s", target.Name, target.Got, target.Want)
		if !target.Met {
			t.Errorf("missed: %s: %s, want %s", target.Name, target.Got, target.Want)
		}
	}
	if rule := result.Rule.FalseUrgent.PerDay; rule < 800 || rule > 950 {
		t.Errorf("%.0f false alarms a day by the rule of single readings, want 5 %% of 17,280", rule)
	}
	if result.Detector.Sensitivity.Of < 80 {
		t.Errorf("only %d episodes", result.Detector.Sensitivity.Of)
	}
}

func result(t *testing.T, options Options) []byte {
	t.Helper()
	r, err := Run(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestResultIsTheSameOnAnyNumberOfProcessors(t *testing.T) {
	options := Options{Fleet: contract(9, 6*time.Hour), Parts: true, Delays: true, Sweeps: true}
	options.Fleet.Interval = 20 * time.Second
	several := result(t, options)
	before := runtime.GOMAXPROCS(1)
	one := result(t, options)
	runtime.GOMAXPROCS(before)
	if !bytes.Equal(one, several) {
		t.Errorf("other figures on one processor:\n%s\n%s", one, several)
	}
	options.Fleet.Seed++
	if bytes.Equal(one, result(t, options)) {
		t.Error("another seed gives the same figures")
	}
}

// TestEachPartMatters removes parts whose loss these people show.
func TestEachPartMatters(t *testing.T) {
	t.Parallel()
	variants := []Variant{fullDetector}
	for _, v := range append(ablations(), onDelays()...) {
		if slices.Contains([]string{"without_on_delay", "gate_alone", "on_delay_0", "on_delay_45"}, v.Name) {
			variants = append(variants, v)
		}
	}
	fleet := contract(20, 12*time.Hour)
	fleet.Episodes[simulate.Tachycardia] *= 20
	outcome, err := fleet.run(t.Context(), variants, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	judged := outcome.judged(variants)
	whole := judged[0]
	for _, part := range judged[1:] {
		if part.Name != "on_delay_45" && part.FalseUrgent.Count <= whole.FalseUrgent.Count {
			t.Errorf("%s: %d false alarms, want more than %d", part.Name, part.FalseUrgent.Count, whole.FalseUrgent.Count)
		}
		if part.Name == "on_delay_45" && (part.DelayP50 < whole.DelayP50+25 || part.Sensitivity.Count == 0) {
			t.Errorf("after 45 s: p50 %.1f s, want 30 s more than %.1f s", part.DelayP50, whole.DelayP50)
		}
	}
	if len(judged) != 5 {
		t.Errorf("%d variants, want 5", len(judged))
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	finished := 0
	options := Options{Fleet: contract(100_000, 24*time.Hour), Progress: func(string, int, int) {
		finished++
		cancel()
	}}
	if _, err := Run(ctx, options); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	if most := 2 * runtime.GOMAXPROCS(0); finished > most {
		t.Errorf("%d customers were finished, want at most %d", finished, most)
	}
}

func TestProgressCountsCustomers(t *testing.T) {
	t.Parallel()
	last := map[string]int{}
	_, err := Run(t.Context(), Options{Fleet: contract(5, time.Hour), Sweeps: true, Progress: func(what string, done, all int) {
		if done != last[what]+1 || done > all {
			t.Errorf("%s: %d of %d after %d", what, done, all, last[what])
		}
		last[what] = done
	}})
	if err != nil {
		t.Fatal(err)
	}
	if last["fleet"] != 5 || last["interval 5 min"] != 5 || last["silence, hours"] < 0 || len(last) != 1+8+6+4 {
		t.Errorf("progress ended at %v", last)
	}
}

func TestOptionsAreHeldToTheirRange(t *testing.T) {
	t.Parallel()
	for text, change := range map[string]func(*Fleet){
		"duration 1m0s: want 1h to 8784h": func(f *Fleet) { f.Duration = time.Minute },
		"customer pool size 0: want 1 to": func(f *Fleet) { f.Customers = 0 },
		"interval of a customer 0s: want": func(f *Fleet) { f.Interval = 0 },
	} {
		fleet := contract(5, time.Hour)
		change(&fleet)
		if _, err := Run(t.Context(), Options{Fleet: fleet}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want %q", err, text)
		}
	}
}

// TestReportsHaveEverySection writes both forms.
func TestReportsHaveEverySection(t *testing.T) {
	t.Parallel()
	options := Options{Fleet: contract(6, 6*time.Hour), Parts: true, Delays: true, Sweeps: true}
	r, err := Run(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	var table, document strings.Builder
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteMarkdown(&document, "heartbeat evaluate"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"the detector", "each anomalous reading is an alarm", "rate_low", "without the median", "45 s", "5 min", "7.5 %", "outside of episodes", "outage", "told as ended"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, table.String())
		}
		if !strings.Contains(document.String(), want) {
			t.Errorf("the document lacks %q", want)
		}
	}
	if strings.Contains(document.String(), "\n\n\n") || strings.Contains(document.String(), "NaN") {
		t.Errorf("the document:\n%s", document.String())
	}
}

// TestDocumentIsWhatTheCommandWrites compares all that is no table and no figure.
func TestDocumentIsWhatTheCommandWrites(t *testing.T) {
	t.Parallel()
	published, err := os.ReadFile("../../docs/detection.md")
	if err != nil {
		t.Fatal(err)
	}
	result, err := Run(t.Context(), Options{Fleet: contract(20, 6*time.Hour), Parts: true, Delays: true, Sweeps: true})
	if err != nil {
		t.Fatal(err)
	}
	var written strings.Builder
	if err := result.WriteMarkdown(&written, "heartbeat evaluate --report docs/detection.md"); err != nil {
		t.Fatal(err)
	}
	want, have := withoutFigures(written.String()), withoutFigures(string(published))
	for i := range max(len(want), len(have)) {
		if i >= len(want) || i >= len(have) || want[i] != have[i] {
			t.Fatalf("docs/detection.md is not what the command writes: run heartbeat evaluate --report docs/detection.md. It has\n%swhere the command writes\n%s",
				strings.Join(have[min(i, len(have)):], ""), strings.Join(want[min(i, len(want)):], ""))
		}
	}
}

// withoutFigures returns the lines of a document that are in no table, with each number as N, and the header of each table.
func withoutFigures(document string) (lines []string) {
	figure := regexp.MustCompile(`[0-9]+(\.[0-9]+)?`)
	var before string
	for line := range strings.Lines(document) {
		if !strings.HasPrefix(line, "|") || !strings.HasPrefix(before, "|") {
			lines = append(lines, figure.ReplaceAllString(line, "N"))
		}
		before = line
	}
	return lines
}

// TestREADMEHasTheHeadline compares the README with the document that the command wrote.
func TestREADMEHasTheHeadline(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/detection.md")
	if err != nil {
		t.Fatal(err)
	}
	figures := regexp.MustCompile(`(?s)\*\*([0-9.]+) false HIGH.*gives ([0-9]+) on.*?([0-9.]+ %) of the episodes.*within ([0-9]+ s)\.\*\*`).FindSubmatch(document)
	if figures == nil {
		t.Fatalf("docs/detection.md has no headline: write it with heartbeat evaluate --report docs/detection.md")
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, figure := range figures[1:] {
		if !bytes.Contains(readme, figure) {
			t.Errorf("README.md lacks the figure %s of docs/detection.md", figure)
		}
	}
}
