package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/bench/probe"
	"heartbeat/internal/bench/report"
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
	measured, err := Run(t.Context(), Options{
		Binary: buildBinary(t), Customers: 100, Logger: slog.New(slog.DiscardHandler), Dir: scratch(t),
		Plan: &Plan{
			Rounds: 2, Events: events, Detection: 2, Ingest: 0.5, Rates: []int{1_000}, Seconds: 0.5, Levels: []int64{0, events}, Measured: events,
			BigFleet: 2_000, BigEvents: events, BackfillRate: 1_000, Backfill: events,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, rate := range map[string]report.Rate{
		"limit": measured.Limit, "limit_sorted": measured.LimitSorted, "drain": measured.Drain, "produce": measured.Produce,
	} {
		if len(rate.PerSecond.Rounds) != 2 || rate.PerSecond.Min <= 0 {
			t.Errorf("%s has the rounds %v, want two above 0", name, rate.PerSecond.Rounds)
		}
	}
	if measured.DrainRatio != measured.Ratio.Median || measured.DrainRatio <= 0 {
		t.Errorf("drain_ratio is %v, want the median of %v", measured.DrainRatio, measured.Ratio.Rounds)
	}
	checkDetection(t, measured.Detection)
	if i := measured.Ingest; i == nil || min(i.Most, i.Half, i.Single) <= 0 || min(i.MostLatency.P50, i.HalfLatency.P50, i.SingleLatency.P50) <= 0 {
		t.Errorf("ingest %+v, want rates and latencies", i)
	}
	checkSteady(t, measured.Steady)
	checkGrowth(t, measured.Growth, []int64{0, events})
	if measured.Reindexed == nil || measured.Reindexed.BytesPerReading <= 0 {
		t.Errorf("reindexed %+v, want a size", measured.Reindexed)
	}
	if measured.BigFleet == nil || measured.Backfill == nil {
		t.Errorf("big fleet %v, backfill %v: want both", measured.BigFleet, measured.Backfill)
	}
	checkOutput(t, measured)
}

func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "heartbeat-bench-test-") // PostgreSQL's user cannot enter t.TempDir
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

func checkSteady(t *testing.T, steady []report.Steady) {
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

func checkDetection(t *testing.T, d *report.Detection) {
	t.Helper()
	if d == nil {
		t.Fatal("detection is not measured")
	}
	if len(d.Ratio.Rounds) != 2 || d.Ratio.Min <= 0 || d.CPURatio() <= 0 {
		t.Errorf("detection %+v, want two ratios above 0", d)
	}
	if d.Committed.P50 <= 0 || d.Shown.P50 < d.Committed.P50 {
		t.Errorf("alarms are committed after %+v and shown after %+v, want rising figures above 0", d.Committed, d.Shown)
	}
}

func checkGrowth(t *testing.T, growth []report.Growth, levels []int64) {
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

// checkOutput checks that every form of the report begins with the ratio.
func checkOutput(t *testing.T, measured *report.Report) {
	t.Helper()
	var table, document bytes.Buffer
	if err := measured.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(table.String(), "drain ÷ limit") {
		t.Errorf("the table begins with %.60q, want the ratio", table.String())
	}
	if err := measured.WriteMarkdown(&document, "heartbeat bench"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"`heartbeat bench`", "| drain ÷ limit in the order of arrival |", "## Detection of alarms", "## Growth", "vw_pipeline_summary"} {
		if !strings.Contains(document.String(), want) {
			t.Errorf("the document has no %q:\n%s", want, document.String())
		}
	}
	text, err := json.Marshal(measured)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), `{"drain_ratio":`) {
		t.Errorf("the JSON begins with %.60s, want drain_ratio", text)
	}
}

func TestWrongCountIsAnError(t *testing.T) {
	t.Parallel()
	d := &database{probe: probe.New(pgtest.Database(t))}
	if _, err := d.verify(t.Context(), probe.Content{}); err != nil {
		t.Errorf("an empty database is refused although nothing was sent: %v", err)
	}
	for _, want := range []probe.Content{{Records: 1}, {Anomalies: 1}, {Alerts: 1}, {DeadLetters: 1}} {
		if _, err := d.verify(t.Context(), want); err == nil {
			t.Errorf("an empty database passes for %+v", want)
		}
	}
}

func TestRunNamesTheMissingServer(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), Options{
		Brokers: []string{"127.0.0.1:1"}, Database: postgres.Options{URL: "postgres://unknown@127.0.0.1:1/none"},
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
		Progress: func(what string) {
			if strings.Contains(what, "drain") {
				cancel()
			}
		},
	})
	if err == nil {
		t.Error("a cancelled run succeeds")
	}
}

// The latency of a reading counts from when it was due, not from when it was sent.
func TestLatencyCountsFromWhenAReadingWasDue(t *testing.T) {
	t.Parallel()
	const second = time.Second
	run := &stream{
		perSecond: 1, topic: &topic{partitions: 2},
		due:     [][]time.Duration{{0, 2 * second, 4 * second}, {1 * second, 3 * second}},
		visible: [][]visibility{{{10 * second, 3}}, {{2 * second, 1}, {10 * second, 2}}},
	}
	got := run.result()
	want := report.Steady{
		PerSecond: 1, Latency: report.Latency{P50: 7000, P90: 8000, P99: 8000, P999: 8000, Max: 8000}, // of those due at 1 to 4 s
		MaxLag: 4, EndLag: 4,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

func TestPollsLessOftenWhileMuchIsLeft(t *testing.T) {
	t.Parallel()
	start := time.Now()
	first := observation{start, 100}
	for _, test := range []struct {
		now  observation
		want time.Duration
	}{
		{observation{start.Add(time.Second), 100}, pollFast},             // no progress
		{observation{start.Add(time.Second), 200}, pollSlow},             // 9 s to go
		{observation{start.Add(9 * time.Second), 1000}, pollSlow},        // 1 s to go
		{observation{start.Add(9900 * time.Millisecond), 1090}, 25e6},    // 0.1 s to go
		{observation{start.Add(9999 * time.Millisecond), 1099}, 5 * 1e6}, // 0.1 ms to go
	} {
		if got := test.now.untilNext(first, 1100); got.Round(time.Millisecond) != test.want {
			t.Errorf("at %d after %v the next poll is in %v, want %v", test.now.stored, test.now.at.Sub(start), got, test.want)
		}
	}
}
