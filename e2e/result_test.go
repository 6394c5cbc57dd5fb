package e2e_test

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var (
	rounds      = flag.Int("rounds", 1, "rounds of each scenario; each round has its own topic and database")
	minDuration = flag.Duration("for", 0, "minimum duration of each scenario, filled with further rounds")
)

// runRounds runs a scenario in rounds, as often as -rounds and for as long as -for require, logs the totals after each, and
// adds the scenario to the report. A round returns its fixture with the number of faults that were observed. The first
// round that fails is the last.
func runRounds(t *testing.T, scenario string, round func(t *testing.T) *fixture) {
	t.Helper()
	total := scenarioResult{scenario: scenario}
	t.Cleanup(func() { addResult(total) })
	began := time.Now()
	for total.rounds < *rounds || time.Since(began) < *minDuration {
		var f *fixture
		passed := t.Run(fmt.Sprint(total.rounds+1), func(t *testing.T) { f = round(t) })
		total.add(f, passed)
		t.Logf("%s: round %d of at least %d, done %d times, %d lost, %d doubled", scenario, total.rounds, *rounds, total.times, total.lost, total.doubled)
		if !passed || f == nil {
			return
		}
	}
}

// withFaults records how many faults were observed.
func (f *fixture) withFaults(times int) *fixture {
	f.result.times = times
	return f
}

// scenarioResult is the result of a scenario, or of one of its rounds.
type scenarioResult struct {
	scenario      string
	rounds        int
	times         int // faults that were observed
	events        int
	lost, doubled int
	caughtUp      time.Duration // the longest after the last fault of a round; 0: the scenario does not measure it
	failed        bool
}

// add adds a round's result. A round that ended early has no fixture.
func (total *scenarioResult) add(f *fixture, passed bool) {
	total.rounds++
	total.failed = total.failed || !passed
	if f == nil {
		return
	}
	total.times += f.result.times
	total.merge(f.result)
}

// merge adds counts of a part of the scenario.
func (total *scenarioResult) merge(partial scenarioResult) {
	total.events += partial.events
	total.lost += partial.lost
	total.doubled += partial.doubled
	total.caughtUp = max(total.caughtUp, partial.caughtUp)
}
