package grafana_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// A simulated day begins in the past: no part of a rule may look at the real clock.
var noon = time.Date(2026, 2, 20, 12, 0, 0, 0, time.UTC)

// episode is a stretch of time of one traffic, and the rules that must fire in it, once each. All others must not.
type episode struct {
	name    string
	minutes int
	traffic traffic
	fires   []string
}

func normal() traffic { return traffic{shares: usualShares} }

func shares(bradycardia, tachycardia, invalid float64) traffic {
	return traffic{shares: [3]float64{bradycardia, tachycardia, invalid}}
}

func calm() episode { return episode{"calm", 12, normal(), nil} }

// The quiet hour comes first, for a baseline; after each fault there is time for its alert to resolve.
func episodes(device int) []episode {
	faultyDevice := normal()
	faultyDevice.device = device
	return []episode{
		{"a quiet hour", 60, normal(), nil},
		{"one device sends INVALID readings", 8, faultyDevice, []string{"invalid"}}, calm(),
		{"tachycardia in many", 8, shares(usualShares[0], 0.09, 0.005), []string{"tachycardia"}}, calm(),
		{"bradycardia in many", 8, shares(0.09, usualShares[1], 0.005), []string{"bradycardia"}}, calm(),
		{"INVALID readings of many devices", 8, shares(usualShares[0], usualShares[1], 0.08), []string{"invalid"}}, calm(),
		{"anomalies of all classes", 8, shares(0.15, 0.15, 0.007), []string{"anomaly_rate", "bradycardia", "tachycardia"}}, calm(),
		{"tachycardia in half of the fleet", 8, shares(usualShares[0], 0.5, 0.005), []string{"anomaly_rate", "tachycardia"}}, calm(),
		{"nothing arrives", 8, traffic{silent: true}, []string{"stalled"}}, calm(),
	}
}

func TestAlertRulesFireOnTheirFaultAloneAndResolve(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rate   float64
		device int // INVALID readings a minute of the faulty device
	}{
		{2, 30},
		{10_000, 60},
	} {
		t.Run(fmt.Sprintf("at %g readings a second", test.rate), func(t *testing.T) {
			t.Parallel()
			fleet := newFleet(t, test.rate)
			watch := newWatch(t, fleet)
			at := noon
			watch.settle(at)
			for _, episode := range episodes(test.device) {
				watch.begin()
				for range episode.minutes {
					fleet.minute(at, episode.traffic)
					at = at.Add(time.Minute)
					watch.evaluate(at)
				}
				watch.judge(episode)
			}
		})
	}
}

// watch evaluates the rules as Grafana does: each minute, and a rule fires once its condition has held for its time.
type watch struct {
	t      *testing.T
	fleet  *fleet
	rules  []alertRule
	since  map[string]time.Time // since when a condition holds
	firing map[string]bool
	fired  []string // in the current episode
	scores map[string]float64
}

func newWatch(t *testing.T, fleet *fleet) *watch {
	return &watch{
		t: t, fleet: fleet, rules: alertRules(t),
		since: map[string]time.Time{}, firing: map[string]bool{}, scores: map[string]float64{},
	}
}

// settle holds the rules against an empty database: nothing is a burst, and nothing arrives.
func (w *watch) settle(at time.Time) {
	w.t.Helper()
	for _, rule := range w.rules {
		if holds := w.score(rule, at) > rule.limit(); holds != (rule.Labels["type"] == "stalled") {
			w.t.Errorf("on an empty database the condition of %q is %t", rule.Title, holds)
		}
	}
}

func (w *watch) begin() {
	w.fired = nil
	clear(w.scores)
}

func (w *watch) evaluate(at time.Time) {
	w.t.Helper()
	for _, rule := range w.rules {
		kind := rule.Labels["type"]
		score := w.score(rule, at)
		w.scores[kind] = max(w.scores[kind], score)
		if score <= rule.limit() {
			delete(w.since, kind)
			w.firing[kind] = false
			continue
		}
		if _, pending := w.since[kind]; !pending {
			w.since[kind] = at
		}
		if !w.firing[kind] && at.Sub(w.since[kind]) >= time.Duration(rule.For) {
			w.firing[kind] = true
			w.fired = append(w.fired, kind)
		}
	}
}

// score runs the rule's query with the simulated clock.
func (w *watch) score(rule alertRule, now time.Time) (score float64) {
	w.t.Helper()
	if err := w.fleet.pool.QueryRow(w.t.Context(), at(rule.sql(), now)).Scan(&score); err != nil {
		w.t.Fatalf("rule %q: %v", rule.Title, err)
	}
	return score
}

func (w *watch) judge(episode episode) {
	w.t.Helper()
	slices.Sort(w.fired)
	if !slices.Equal(w.fired, episode.fires) {
		w.t.Errorf("%s: fired %v, want %v, each once; highest scores: %v", episode.name, w.fired, episode.fires, w.scores)
	}
	if len(episode.fires) > 0 {
		w.t.Logf("%s: highest scores %v", episode.name, w.scores)
		return
	}
	for kind, firing := range w.firing {
		if firing {
			w.t.Errorf("%s: %s still fires at its end, score %v", episode.name, kind, w.scores[kind])
		}
	}
}
