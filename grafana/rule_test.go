package grafana_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// A simulated day begins in the past, so a rule that uses the real clock fails.
var noon = time.Date(2026, 2, 20, 12, 0, 0, 0, time.UTC)

// episode is a period of one kind of traffic. Exactly the rules in fires must fire in it, once each.
type episode struct {
	name    string
	minutes int
	traffic traffic
	fires   []string
}

func normal() traffic { return traffic{shares: defaultShares} }

func shares(bradycardia, tachycardia, invalid float64) traffic {
	return traffic{shares: [3]float64{bradycardia, tachycardia, invalid}}
}

func calm() episode { return episode{"calm", 12, normal(), nil} }

// Minutes without faults come first as a baseline; after each fault there is time for its alert to resolve.
func episodes(quiet, device int) []episode {
	faultyDevice := normal()
	faultyDevice.device = device
	return []episode{
		{"a quiet time", quiet, normal(), nil},
		{"one device sends INVALID readings", 8, faultyDevice, []string{"invalid"}}, calm(),
		{"tachycardia in many", 8, shares(defaultShares[0], 0.09, 0.005), []string{"tachycardia"}}, calm(),
		{"bradycardia in many", 8, shares(0.09, defaultShares[1], 0.005), []string{"bradycardia"}}, calm(),
		{"INVALID readings of many devices", 8, shares(defaultShares[0], defaultShares[1], 0.08), []string{"invalid"}}, calm(),
		{"anomalies of all classes", 8, shares(0.15, 0.15, 0.007), []string{"anomaly_rate", "bradycardia", "tachycardia"}}, calm(),
		{"tachycardia in half of the fleet", 8, shares(defaultShares[0], 0.5, 0.005), []string{"anomaly_rate", "tachycardia"}}, calm(),
		{"nothing arrives", 8, traffic{silent: true}, []string{"stalled"}}, calm(),
	}
}

func TestAlertRulesFireOnTheirFaultAloneAndResolve(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rate   float64
		quiet  int // minutes before the first fault
		device int // INVALID readings a minute of the faulty device
	}{
		{2, 60, 30},
		{10_000, 20, 60},
	} {
		t.Run(fmt.Sprintf("at %g readings a second", test.rate), func(t *testing.T) {
			t.Parallel()
			fleet := newFleet(t, test.rate)
			evaluator := newRuleEvaluator(t, fleet)
			at := noon
			evaluator.checkEmptyDatabase(at)
			for _, episode := range episodes(test.quiet, test.device) {
				evaluator.begin()
				for range episode.minutes {
					fleet.minute(at, episode.traffic)
					at = at.Add(time.Minute)
					evaluator.evaluate(at)
				}
				evaluator.check(episode)
			}
		})
	}
}

// ruleEvaluator evaluates the rules as Grafana does: each minute; a rule fires once its condition has held for its duration.
type ruleEvaluator struct {
	t      *testing.T
	fleet  *fleet
	rules  []alertRule
	since  map[string]time.Time // when each condition became true
	firing map[string]bool
	fired  []string // in the current episode
	scores map[string]float64
}

func newRuleEvaluator(t *testing.T, fleet *fleet) *ruleEvaluator {
	return &ruleEvaluator{
		t: t, fleet: fleet, rules: alertRules(t),
		since: map[string]time.Time{}, firing: map[string]bool{}, scores: map[string]float64{},
	}
}

// checkEmptyDatabase evaluates the rules without readings: only the stalled rule's condition holds.
func (e *ruleEvaluator) checkEmptyDatabase(at time.Time) {
	e.t.Helper()
	for _, rule := range e.rules {
		if holds := e.score(rule, at) > rule.limit(); holds != (rule.Labels["type"] == "stalled") {
			e.t.Errorf("on an empty database the condition of %q is %t", rule.Title, holds)
		}
	}
}

func (e *ruleEvaluator) begin() {
	e.fired = nil
	clear(e.scores)
}

func (e *ruleEvaluator) evaluate(at time.Time) {
	e.t.Helper()
	for _, rule := range e.rules {
		kind := rule.Labels["type"]
		score := e.score(rule, at)
		e.scores[kind] = max(e.scores[kind], score)
		if score <= rule.limit() {
			delete(e.since, kind)
			e.firing[kind] = false
			continue
		}
		if _, pending := e.since[kind]; !pending {
			e.since[kind] = at
		}
		if !e.firing[kind] && at.Sub(e.since[kind]) >= time.Duration(rule.For) {
			e.firing[kind] = true
			e.fired = append(e.fired, kind)
		}
	}
}

// score runs the rule's query with the simulated clock.
func (e *ruleEvaluator) score(rule alertRule, now time.Time) (score float64) {
	e.t.Helper()
	if err := e.fleet.pool.QueryRow(e.t.Context(), at(rule.sql(), now)).Scan(&score); err != nil {
		e.t.Fatalf("rule %q: %v", rule.Title, err)
	}
	return score
}

func (e *ruleEvaluator) check(episode episode) {
	e.t.Helper()
	slices.Sort(e.fired)
	if !slices.Equal(e.fired, episode.fires) {
		e.t.Errorf("%s: fired %v, want %v, each once; highest scores: %v", episode.name, e.fired, episode.fires, e.scores)
	}
	if len(episode.fires) > 0 {
		e.t.Logf("%s: highest scores %v", episode.name, e.scores)
		return
	}
	for kind, firing := range e.firing {
		if firing {
			e.t.Errorf("%s: %s still fires at its end, score %v", episode.name, kind, e.scores[kind])
		}
	}
}
