package dryrun

import (
	"testing"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
)

var start = time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC)

func history(t *testing.T, limits []detect.Limit) *detect.LimitHistory {
	t.Helper()
	h, err := detect.NewLimitHistory(detect.DefaultLimits(), limits, []detect.Member{{Customer: 3, Cohort: "athletes", From: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// run lets customers 1 to 4 have 160 for ten minutes of each hour, and 75 otherwise, and tries limits from the second hour on.
func run(t *testing.T, existing []detect.Limit, proposed ...alarm.Limit) Result {
	t.Helper()
	over := Period{start.Add(time.Hour), start.Add(4 * time.Hour)}
	limits, err := Propose(existing, proposed, over.From)
	if err != nil {
		t.Fatal(err)
	}
	trial, err := New(detect.DefaultSettings(), history(t, limits), over)
	if err != nil {
		t.Fatal(err)
	}
	inForce := history(t, existing)
	detector, err := detect.New(detect.DefaultSettings(), detect.Source{Log: "log"})
	if err != nil {
		t.Fatal(err)
	}
	var states [5]detect.State
	for second := 0; second < 5*3600; second += 5 {
		for id := heartbeat.CustomerID(1); id <= 4; id++ {
			at := detect.TimeOf(start.Add(time.Duration(second) * time.Second))
			reading := detect.Reading{Event: at, Kafka: at, Offset: int64(second), BPM: heartbeat.BPM(75 + second/5%3)}
			if second%3600 >= 1800 && second%3600 < 2400 {
				reading.BPM = heartbeat.BPM(160 + second/5%3)
			}
			trial.Step(id, reading, detector.Step(&states[id], reading, inForce.At(id, at), nil))
		}
	}
	return trial.Result()
}

func fleetLimit(high heartbeat.BPM, from time.Time, id int64) detect.Limit {
	return detect.Limit{ID: id, Scope: detect.Fleet, High: high, From: detect.TimeOf(from), Author: "anna", Reason: "study"}
}

func TestProposedLimitsCountWithinThePeriod(t *testing.T) {
	t.Parallel()
	nothing := Alarms{}
	for name, test := range map[string]struct {
		existing      []detect.Limit
		proposed      []alarm.Limit
		now, then     Alarms
		changed       int
		firstCustomer string
	}{
		"none":         {now: nothing, then: nothing},
		"for a person": {proposed: []alarm.Limit{{Scope: "person", Customer: "CUST_00002", High: 150}}, then: Alarms{RateHigh: 3}, changed: 1, firstCustomer: "CUST_00002"},
		"for a cohort": {proposed: []alarm.Limit{{Scope: "cohort", Cohort: "athletes", High: 150}}, then: Alarms{RateHigh: 3}, changed: 1, firstCustomer: "CUST_00003"},
		"for all":      {proposed: []alarm.Limit{{Scope: "fleet", High: 150}}, then: Alarms{RateHigh: 12}, changed: 4, firstCustomer: "CUST_00001"},
		"for all but one": {
			proposed: []alarm.Limit{{Scope: "fleet", High: 150}, {Scope: "person", Customer: "CUST_00001", High: 200}}, then: Alarms{RateHigh: 9}, changed: 3, firstCustomer: "CUST_00002",
		},
		"from a time on": {proposed: []alarm.Limit{{Scope: "fleet", High: 150, EffectiveFrom: start.Add(3 * time.Hour)}}, then: Alarms{RateHigh: 4}, changed: 4, firstCustomer: "CUST_00001"},
		"instead of one made later": {
			existing: []detect.Limit{fleetLimit(150, start.Add(150*time.Minute), 7)}, proposed: []alarm.Limit{{Scope: "fleet", High: 200}},
			now: Alarms{RateHigh: 8}, changed: 4, firstCustomer: "CUST_00001",
		},
		"the limits in force again": {
			existing: []detect.Limit{fleetLimit(150, start, 7)}, proposed: []alarm.Limit{{Scope: "fleet", High: 150, EffectiveFrom: start}},
			now: Alarms{RateHigh: 12}, then: Alarms{RateHigh: 12},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, test.existing, test.proposed...)
			if got.Now != test.now || got.Proposed != test.then || len(got.Changed) != test.changed {
				t.Errorf("now %+v, proposed %+v, %d changed; want %+v, %+v, %d", got.Now, got.Proposed, len(got.Changed), test.now, test.then, test.changed)
			}
			if test.changed > 0 && got.Changed[0].Customer != test.firstCustomer {
				t.Errorf("%s changes most, want %s", got.Changed[0].Customer, test.firstCustomer)
			}
			if got.Readings != 4*3*720 || got.Customers != 4 || got.Days < 0.124 || got.Days > 0.125 {
				t.Errorf("%d readings of %d customers in %v days", got.Readings, got.Customers, got.Days)
			}
		})
	}
}

func TestWrongProposalIsNamed(t *testing.T) {
	t.Parallel()
	_, err := Propose(nil, []alarm.Limit{{Scope: "fleet", High: 150}, {Scope: "fleet", High: 90}}, start)
	if want := "limit 2 of 2: the high limit is 90: want 100 to 230 bpm"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}
