package evaluate

import (
	"testing"
	"time"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/simulate"
)

// quiet is a fleet with many silences and outages.
func quiet(customers int, duration time.Duration) Fleet {
	fleet := contract(customers, duration)
	fleet.Episodes[simulate.DropOut], fleet.Episodes[simulate.LateUpload], fleet.Episodes[simulate.DeviceReset] = 0.5, 0.3, 2
	fleet.Episodes[simulate.GatewayOutage] = 6
	return fleet
}

// TestSilenceIsFoundInTime holds drop-outs, late uploads, device resets and gateways' outages against their truth.
func TestSilenceIsFoundInTime(t *testing.T) {
	t.Parallel()
	result, err := Options{Fleet: quiet(200, 24*time.Hour)}.silence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", result)
	silent, outage := &result.Silent, &result.Outage
	if silent.Sensitivity.Of < 100 || silent.Sensitivity.Share < 0.99 || silent.AfterLimit > mostAfterLimit || silent.DelayP50 < 55 || silent.DelayP95 > 70 {
		t.Errorf("silences: %+v", silent)
	}
	if silent.False.PerDay > 0.01 || result.Beside > 0 {
		t.Errorf("%+v false silences a customer-day, %d beside an outage", silent.False, result.Beside)
	}
	if outage.Sensitivity.Of < 4 || outage.EndedP95 < 0 || outage.EndedP95 > 30 || outage.Sensitivity.Count != outage.Sensitivity.Of || outage.Alarms != outage.Sensitivity.Of || outage.DelayP95 > 70 {
		t.Errorf("outages: %+v", outage)
	}
	if len(result.Kinds) != 2 || result.Kinds[0].Found.Of < 50 || result.Kinds[1].Found.Of < 30 {
		t.Errorf("kinds: %+v", result.Kinds)
	}
}

// TestShareOfTheFleetLostAtOnceIsOnePage also has an interval of 30 s.
func TestShareOfTheFleetLostAtOnceIsOnePage(t *testing.T) {
	t.Parallel()
	for interval, personal := range map[time.Duration]int{5 * time.Second: 0, 30 * time.Second: 2} { // some devices are missed before the others
		fleet := contract(300, time.Hour)
		fleet.Interval = interval
		lost, err := fleet.loseTogether(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if lost.Customers != 90 || lost.Outages != 1 || lost.Personal > personal || lost.Raised > 4*interval.Seconds()+60 || lost.Ended < 0 || lost.Ended > 2*interval.Seconds() {
			t.Errorf("each %v: %+v, want one outage, told as ended", interval, lost)
		}
	}
}

// TestSilencesAreMatchedWithTheirEpisodes has one customer with a drop-out, one beside an outage and one without an episode.
func TestSilencesAreMatchedWithTheirEpisodes(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return fleetStart.Add(time.Duration(minute) * time.Minute) }
	found := func(customer heartbeat.CustomerID, minute int) foundSilence {
		return foundSilence{customer: customer, at: detect.TimeOf(at(minute)), late: 4_000_000}
	}
	run := silenceRun{
		fleet: contract(100, 24*time.Hour),
		episodes: []simulate.Episode{
			{Kind: simulate.DropOut, Customer: 1, Onset: at(10), End: at(20), Expected: simulate.Silent},
			{Kind: simulate.DropOut, Customer: 2, Onset: at(10), End: at(11), Expected: simulate.None},
			{Kind: simulate.LateUpload, Customer: 3, Onset: at(30), End: at(40), Expected: simulate.Silent},
			{Kind: simulate.DropOut, Customer: 4, Onset: at(100), End: at(110), Expected: simulate.Silent},
			{Kind: simulate.GatewayOutage, Onset: at(100), End: at(105), Expected: simulate.Outage},
			{Kind: simulate.GatewayOutage, Onset: at(200), End: at(205), Expected: simulate.Outage},
		},
		silences: []foundSilence{found(1, 11), found(1, 15), found(2, 11), found(5, 60), found(6, 103)},
		outages:  []foundOutage{{detect.TimeOf(at(101)), detect.TimeOf(at(106))}, {detect.TimeOf(at(104)), 0}, {detect.TimeOf(at(300)), detect.TimeOf(at(301))}},
	}
	run.outages[1].ended = detect.TimeOf(at(107))
	r := run.judge()
	if s := r.Silent; s.Sensitivity.Count != 1 || s.Sensitivity.Of != 2 || s.Alarms != 5 || s.False.Count != 2 || s.DelayP50 != 60 || s.AfterLimit != 4 {
		t.Errorf("silent: %+v", s)
	}
	if r.Short != 1 || r.Beside != 1 || r.Held != 1 {
		t.Errorf("%d in short episodes, %d beside an outage, %d held back; want one each", r.Short, r.Beside, r.Held)
	}
	if o := r.Outage; o.Sensitivity.Count != 1 || o.Sensitivity.Of != 2 || o.Alarms != 3 || o.False.Count != 2 || o.DelayP50 != 60 || o.EndedP50 != 60 {
		t.Errorf("outage: %+v", o)
	}
}
