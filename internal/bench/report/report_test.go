package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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
		if diff := cmp.Diff(test.want, NewSpread(test.rounds)); diff != "" {
			t.Errorf("spread of %v (-want +got):\n%s", test.rounds, diff)
		}
	}
	if diff := cmp.Diff([]float64{2, 0.5}, Ratios(NewSpread([]float64{4, 1}), NewSpread([]float64{2, 2})).Rounds); diff != "" {
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
	if diff := cmp.Diff(want, NewLatency(samples)); diff != "" {
		t.Errorf("latency of 1 to 1000 ms (-want +got):\n%s", diff)
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
