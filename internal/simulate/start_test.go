package simulate

import (
	"math"
	"testing"
	"time"
)

// startTruth are the episodes that the truth has by the first reading.
func startTruth(t *testing.T, options PopulationOptions) []Episode {
	t.Helper()
	var truth []Episode
	options.Truth = func(e Episode) { truth = append(truth, e) }
	for range newPopulation(t, options).Readings() {
		break
	}
	return truth
}

// TestEverySeedStartsWithPeopleWhoNeedSomebody wants sustained episodes of a fleet by default at once, long enough to be
// reported, whatever the seed.
func TestEverySeedStartsWithPeopleWhoNeedSomebody(t *testing.T) {
	t.Parallel()
	options := people
	options.Episodes = DefaultRates()
	const seeds = 30
	total := 0
	for seed := range uint64(seeds) {
		options.Seed = seed
		sustained := 0
		for _, e := range startTruth(t, options) {
			if e.Onset.Before(options.Start) {
				t.Errorf("seed %d: episode %s begins at %v, before the start", seed, e.ID, e.Onset)
			}
			if e.Expected == RateHigh || e.Expected == RateLow {
				sustained++
				if left := e.End.Sub(options.Start); left < leastLeft*time.Second {
					t.Errorf("seed %d: episode %s ends %v after the start, want %d s at least", seed, e.ID, left, leastLeft)
				}
			}
		}
		if total += sustained; sustained < 3 || sustained > 8 {
			t.Errorf("seed %d: %d sustained episodes at the start, want 3 to 8", seed, sustained)
		}
	}
	if mean := float64(total) / seeds; math.Abs(mean-4.86) > 0.3 {
		t.Errorf("%.2f sustained episodes at the start on average, want 4.86: rate × duration", mean)
	}
}

// TestStartIsTheSteadyState compares how many episodes of each kind are under way at the start and days later.
func TestStartIsTheSteadyState(t *testing.T) {
	t.Parallel()
	options := people
	options.Interval, options.Episodes = time.Hour, DefaultRates()
	options.Episodes[GatewayOutage] = 0
	var start [kinds]int
	for _, e := range startTruth(t, options) {
		start[e.Kind]++
		if e.Expected == Silent {
			t.Errorf("%s is silent from the start on: nothing was heard that could stop", e.Customer)
		}
	}
	for kind, perDay := range options.Episodes {
		want := float64(options.Customers) * perDay * meanSeconds(Kind(kind)) / day.Seconds()
		if got := float64(start[kind]); math.Abs(got-want) > 3+0.02*want {
			t.Errorf("%v of %v at the start, want %.1f", got, Kind(kind), want)
		}
	}
	// An hour's onsets come at their rate from the first minute on.
	var onsets [6]int
	for _, e := range record(t, options, time.Hour).truth {
		if e.Onset.After(at) {
			onsets[min(int(e.Onset.Sub(at)/(10*time.Minute)), 5)]++
		}
	}
	for i, got := range onsets {
		want := float64(options.Customers) * options.Episodes.perCustomer() / 24 / 6
		if math.Abs(float64(got)-want) > 4*math.Sqrt(want) {
			t.Errorf("%d onsets in ten minutes %d, want %.0f", got, i, want)
		}
	}
}
