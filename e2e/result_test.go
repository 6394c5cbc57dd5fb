package e2e_test

import (
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"
)

var (
	rounds      = flag.Int("rounds", 1, "rounds of each scenario; each round has its own topic and database")
	minDuration = flag.Duration("for", 0, "minimum duration of each scenario, filled with further rounds")
	concurrent  = flag.Int("concurrent", 1, "rounds of a scenario that run at the same time")
)

// faultKind names the faults for which a release requires a total. Other faults have no kind.
type faultKind string

const (
	consumerKill  faultKind = "consumer kills"
	databaseCrash faultKind = "database crashes"
	brokerKill    faultKind = "broker kills"
	zombieRefused faultKind = "zombies refused"
	unknownCommit faultKind = "unknown commits"
	poisonRecord  faultKind = "poison records"
)

// scenarioResult is the result of a round, or the sum over several rounds of a scenario.
type scenarioResult struct {
	Scenario string          `json:"scenario"`
	Kind     faultKind       `json:"kind,omitempty"`
	Rounds   int             `json:"rounds"`
	Failed   int             `json:"failed"` // rounds
	Faults   int             `json:"faults"` // that were observed
	Events   int             `json:"events"`
	Lost     int             `json:"lost"`
	Doubled  int             `json:"doubled"`
	Alarms   int             `json:"alarms,omitempty"` // compared with a run without faults
	Duration time.Duration   `json:"duration_ns"`
	CaughtUp time.Duration   `json:"longest_catch_up_ns,omitempty"` // after the last fault of a round; 0: not measured
	Blind    []time.Duration `json:"time_blind_ns,omitempty"`       // from each fault to the first reading stored afterwards
}

// runRounds runs a scenario in rounds, as often as -rounds and for as long as -for require, logs the totals after each, and
// adds each round to the report. A round returns its fixture with the number of faults that were observed. No round begins
// after one that failed.
func runRounds(t *testing.T, scenario string, round func(t *testing.T) *fixture) {
	t.Helper()
	var (
		mu      sync.Mutex // guards started and total
		started int
		total   = scenarioResult{Scenario: scenario}
		workers sync.WaitGroup
	)
	began := time.Now()
	next := func() (number int, more bool) {
		mu.Lock()
		defer mu.Unlock()
		if total.Failed > 0 || started >= *rounds && time.Since(began) >= *minDuration {
			return 0, false
		}
		started++
		return started, true
	}
	for range *concurrent {
		workers.Go(func() {
			for number, more := next(); more; number, more = next() {
				result := runRound(t, fmt.Sprint(number), round)
				result.Scenario = scenario
				mu.Lock()
				total.add(result)
				t.Logf("%s: round %d of at least %d, %d faults, %d lost, %d doubled, %d alarms, %v",
					scenario, total.Rounds, *rounds, total.Faults, total.Lost, total.Doubled, total.Alarms, time.Since(began).Round(time.Second))
				mu.Unlock()
				if err := addToReport(result); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
}

// runRound runs one round as a subtest. A round that ends early has no fixture.
func runRound(t *testing.T, name string, round func(t *testing.T) *fixture) (result scenarioResult) {
	t.Helper()
	began := time.Now()
	var f *fixture
	passed := t.Run(name, func(t *testing.T) { f = round(t) })
	if f != nil {
		result = f.result
	}
	result.Rounds, result.Duration = 1, time.Since(began)
	if !passed || f == nil {
		result.Failed = 1
	}
	return result
}

// withFaults records how many faults were observed.
func (f *fixture) withFaults(count int) *fixture {
	f.result.Faults = count
	return f
}

// withFaultsOf records how many faults of a kind were observed.
func (f *fixture) withFaultsOf(kind faultKind, count int) *fixture {
	f.result.Kind = kind
	return f.withFaults(count)
}

// addBlind records the time from a fault to the first reading stored afterwards.
func (f *fixture) addBlind(duration time.Duration) {
	f.result.Blind = append(f.result.Blind, duration)
}

// add adds a round, or the sum over rounds.
func (total *scenarioResult) add(result scenarioResult) {
	total.Rounds += result.Rounds
	total.Failed += result.Failed
	total.Faults += result.Faults
	total.Duration += result.Duration
	if result.Kind != "" {
		total.Kind = result.Kind
	}
	total.addCounts(result)
}

// addCounts adds what an audit has counted.
func (total *scenarioResult) addCounts(result scenarioResult) {
	total.Events += result.Events
	total.Lost += result.Lost
	total.Doubled += result.Doubled
	total.Alarms += result.Alarms
	total.CaughtUp = max(total.CaughtUp, result.CaughtUp)
	total.Blind = append(total.Blind, result.Blind...)
}
