package e2e_test

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var (
	rounds = flag.Int("rounds", 1, "how often to do each scenario, every time with a topic and a database of its own")
	goOn   = flag.Duration("for", 0, "how long to stay at each scenario at least, with further rounds")
)

// repeat does a scenario in rounds, as often as -rounds says and for as long as -for says, tells after each how things
// stand, and enters the scenario into the report. A round returns the rig that it ran on, with how often the fault was
// seen to happen. A round that fails is the last.
func repeat(t *testing.T, scenario string, round func(t *testing.T) *rig) {
	t.Helper()
	total := tally{scenario: scenario}
	t.Cleanup(func() { enter(total) })
	began := time.Now()
	for total.rounds < *rounds || time.Since(began) < *goOn {
		var r *rig
		passed := t.Run(fmt.Sprint(total.rounds+1), func(t *testing.T) { r = round(t) })
		total.add(r, passed)
		t.Logf("%s: round %d of at least %d, done %d times, %d lost, %d doubled", scenario, total.rounds, *rounds, total.times, total.lost, total.doubled)
		if !passed || r == nil {
			return
		}
	}
}

// saw notes how often the fault was seen to happen.
func (r *rig) saw(times int) *rig {
	r.tally.times = times
	return r
}

// tally is what a scenario has come to.
type tally struct {
	scenario      string
	rounds        int
	times         int // the fault was seen to happen
	events        int
	lost, doubled int
	caughtUp      time.Duration // the longest after the last fault of a round; 0: the scenario does not measure it
	failed        bool
}

// add takes what a round has come to. A round that ended early has no rig.
func (sum *tally) add(r *rig, passed bool) {
	sum.rounds++
	sum.failed = sum.failed || !passed
	if r == nil {
		return
	}
	sum.times += r.tally.times
	sum.merge(r.tally)
}

// merge takes what was found after some of the faults.
func (sum *tally) merge(part tally) {
	sum.events += part.events
	sum.lost += part.lost
	sum.doubled += part.doubled
	sum.caughtUp = max(sum.caughtUp, part.caughtUp)
}
