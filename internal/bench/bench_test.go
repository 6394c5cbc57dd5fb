package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// buildBinary builds the product, whose roles a run starts.
func buildBinary(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "heartbeat")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "heartbeat/cmd/heartbeat").CombinedOutput(); err != nil {
		t.Fatalf("build heartbeat: %v\n%s", err, output)
	}
	return binary
}

func TestRunMeasuresEverything(t *testing.T) {
	t.Parallel()
	const events = 30_000
	report, err := Run(t.Context(), Options{
		Binary: buildBinary(t), Customers: 100, Logger: slog.New(slog.DiscardHandler), Dir: scratch(t),
		Plan: &Plan{
			Rounds: 2, Events: events, Rates: []int{1_000}, Seconds: 0.5, Levels: []int64{0, events}, Measured: events,
			BigFleet: 2_000, BigEvents: events, BackfillRate: 1_000, Backfill: events,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, rate := range map[string]Rate{
		"limit": report.Limit, "limit_sorted": report.LimitSorted, "drain": report.Drain, "produce": report.Produce,
	} {
		if len(rate.PerSecond.Rounds) != 2 || rate.PerSecond.Min <= 0 {
			t.Errorf("%s has the rounds %v, want two above 0", name, rate.PerSecond.Rounds)
		}
	}
	if report.DrainRatio != report.Ratio.Median || report.DrainRatio <= 0 {
		t.Errorf("drain_ratio is %v, want the median of %v", report.DrainRatio, report.Ratio.Rounds)
	}
	checkSteady(t, report.Steady)
	checkGrowth(t, report.Growth, []int64{0, events})
	if report.Packed == nil || report.Packed.BytesPerReading <= 0 {
		t.Errorf("packed %+v, want a size", report.Packed)
	}
	if report.BigFleet == nil || report.Backfill == nil {
		t.Errorf("big fleet %v, backfill %v: want both", report.BigFleet, report.Backfill)
	}
	checkOutput(t, report)
}

func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "heartbeat-bench-test-") // t.TempDir is closed to the database's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		left, _ := os.ReadDir(dir)
		if len(left) > 0 {
			t.Errorf("the run left %v behind", left)
		}
		os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func checkSteady(t *testing.T, steady []Steady) {
	t.Helper()
	if len(steady) != 1 {
		t.Fatalf("%d rates measured, want 1", len(steady))
	}
	l := steady[0].Latency
	if l.P50 <= 0 || l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.P999 || l.P999 > l.Max {
		t.Errorf("latency %+v, want rising figures above 0", l)
	}
	if steady[0].RowsPerTransaction < 1 || steady[0].WALBytes <= 0 {
		t.Errorf("steady %+v, want rows in transactions and a log", steady[0])
	}
}

func checkGrowth(t *testing.T, growth []Growth, levels []int64) {
	t.Helper()
	var rows []int64
	for _, g := range growth {
		rows = append(rows, g.Rows)
		if len(g.Queries) == 0 || g.Drain.PerSecond.Median <= 0 || g.OfFirst.Median <= 0 {
			t.Errorf("growth %+v, want a rate and queries", g)
		}
	}
	if diff := cmp.Diff(levels, rows); diff != "" {
		t.Errorf("levels (-want +got):\n%s", diff)
	}
}

// checkOutput wants every form of the report to tell the ratio first.
func checkOutput(t *testing.T, report *Report) {
	t.Helper()
	var table, document bytes.Buffer
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(table.String(), "drain ÷ limit") {
		t.Errorf("the table begins with %.60q, want the ratio", table.String())
	}
	if err := report.WriteMarkdown(&document, "heartbeat bench"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"`heartbeat bench`", "| drain ÷ limit in the order of arrival |", "## Growth", "vw_pipeline_summary"} {
		if !strings.Contains(document.String(), want) {
			t.Errorf("the document has no %q:\n%s", want, document.String())
		}
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), `{"drain_ratio":`) {
		t.Errorf("the JSON begins with %.60s, want drain_ratio", text)
	}
}

func TestWrongCountIsAnError(t *testing.T) {
	t.Parallel()
	d := &database{yardstick: postgres.NewYardstick(pgtest.Database(t))}
	if _, err := d.verify(t.Context(), postgres.Content{}); err != nil {
		t.Errorf("an empty database is refused although nothing was sent: %v", err)
	}
	for _, want := range []postgres.Content{{Records: 1}, {Anomalies: 1}, {Alerts: 1}, {DeadLetters: 1}} {
		if _, err := d.verify(t.Context(), want); err == nil {
			t.Errorf("an empty database passes for %+v", want)
		}
	}
}

func TestRunSaysWhichServerIsMissing(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), Options{
		Brokers: []string{"127.0.0.1:1"}, Database: postgres.Options{URL: "postgres://nobody@127.0.0.1:1/none"},
		Logger: slog.New(slog.DiscardHandler), Dir: scratch(t), Customers: 1,
	})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("error %v, want one that names the address", err)
	}
}

func TestCancelledRunCleansUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Run(ctx, Options{
		Binary: buildBinary(t), Customers: 100, Logger: slog.New(slog.DiscardHandler), Dir: scratch(t),
		Plan: &Plan{Rounds: 1, Events: 1_000},
		Say: func(what string) {
			if strings.Contains(what, "drain") {
				cancel()
			}
		},
	})
	if err == nil {
		t.Error("a cancelled run succeeds")
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rounds []float64
		want   Spread
	}{
		{nil, Spread{}},
		{[]float64{3}, Spread{3, 3, 3, []float64{3}}},
		{[]float64{3, 1}, Spread{2, 1, 3, []float64{3, 1}}},
		{[]float64{3, 1, 2}, Spread{2, 1, 3, []float64{3, 1, 2}}},
	} {
		if diff := cmp.Diff(test.want, spreadOf(test.rounds)); diff != "" {
			t.Errorf("spread of %v (-want +got):\n%s", test.rounds, diff)
		}
	}
	if diff := cmp.Diff([]float64{2, 0.5}, ratios(spreadOf([]float64{4, 1}), spreadOf([]float64{2, 2})).Rounds); diff != "" {
		t.Errorf("ratios go round by round (-want +got):\n%s", diff)
	}
}

func TestLatency(t *testing.T) {
	t.Parallel()
	samples := make([]time.Duration, 1000)
	for i := range samples {
		samples[len(samples)-1-i] = time.Duration(i+1) * time.Millisecond
	}
	want := Latency{P50: 501, P90: 901, P99: 991, P999: 1000, Max: 1000}
	if diff := cmp.Diff(want, latencyOf(samples)); diff != "" {
		t.Errorf("latency of 1 to 1000 ms (-want +got):\n%s", diff)
	}
}

// A reading that could not be sent when it was due waits from then on.
func TestLatencyCountsFromWhenAReadingWasDue(t *testing.T) {
	t.Parallel()
	const second = time.Second
	run := &stream{
		perSecond: 1, topic: &topic{partitions: 2},
		due:    [][]time.Duration{{0, 2 * second, 4 * second}, {1 * second, 3 * second}},
		sights: [][]visible{{{10 * second, 3}}, {{2 * second, 1}, {10 * second, 2}}},
	}
	got := run.result()
	want := Steady{
		PerSecond: 1, Latency: Latency{P50: 7000, P90: 8000, P99: 8000, P999: 8000, Max: 8000}, // of those due at 1 to 4 s
		MaxLag: 4, EndLag: 4,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

func TestLookingLessOftenWhileThereIsFarToGo(t *testing.T) {
	t.Parallel()
	start := time.Now()
	first := sight{start, 100}
	for _, test := range []struct {
		now  sight
		want time.Duration
	}{
		{sight{start.Add(time.Second), 100}, lookEvery},            // nothing yet
		{sight{start.Add(time.Second), 200}, lookSeldom},           // 9 s to go
		{sight{start.Add(9 * time.Second), 1000}, lookSeldom},      // 1 s to go
		{sight{start.Add(9900 * time.Millisecond), 1090}, 25e6},    // 0.1 s to go
		{sight{start.Add(9999 * time.Millisecond), 1099}, 5 * 1e6}, // hardly any
	} {
		if got := test.now.untilNext(first, 1100); got.Round(time.Millisecond) != test.want {
			t.Errorf("at %d after %v the next look is in %v, want %v", test.now.stored, test.now.at.Sub(start), got, test.want)
		}
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for number, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567.8: "1,234,568"} {
		if got := thousands(number); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func ExampleReport_WriteMarkdown() {
	report := &Report{Targets: []Target{{"p99 at 10,000 a second, ms", "≤ 10.0", "7.5", true}}}
	var document bytes.Buffer
	_ = report.WriteMarkdown(&document, "heartbeat bench --only steady")
	fmt.Println(strings.Contains(document.String(), "| p99 at 10,000 a second, ms | ≤ 10.0 | 7.5 | yes |"))
	// Output: true
}
