package silence

import (
	"testing"
	"time"

	"heartbeat/internal/detect"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestClockStandsStillWhileNobodyLooks(t *testing.T) {
	t.Parallel()
	var c Clock
	at := detect.TimeOf(noon)
	second := detect.Time(1_000_000)
	for _, step := range []struct {
		name     string
		kafka    detect.Time   // stored, since noon; 0: none
		caughtUp time.Duration // since noon; 0: not
		want     time.Duration
	}{
		{"the first record", 1 * second, 0, 0},
		{"readings", 6 * second, 0, 5 * time.Second},
		{"readings out of order", 4 * second, 0, 5 * time.Second},
		{"no timestamp", -at, 0, 5 * time.Second},
		{"a jump", 60 * second, 0, 5 * time.Second},
		{"the first answer", 0, time.Minute, 5 * time.Second},
		{"nothing waits", 0, time.Minute + time.Second, 6 * time.Second},
		{"a reading of that second", 61 * second, 0, 6 * time.Second},
		{"nothing waits again", 0, time.Minute + 2*time.Second, 7 * time.Second},
		{"no answer for long", 0, 3 * time.Minute, 7 * time.Second},
		{"nothing waits thereafter", 0, 3*time.Minute + 10*time.Second, 17 * time.Second},
		{"a producer's clock an hour ahead", 3600 * second, 0, 17 * time.Second},
		{"is followed by the wall clock", 0, 3*time.Minute + 11*time.Second, 18 * time.Second},
		{"while others are behind it", 200 * second, 3*time.Minute + 12*time.Second, 19 * time.Second},
	} {
		if step.kafka != 0 {
			c.Stored(at + step.kafka)
		}
		if step.caughtUp != 0 {
			c.CaughtUp(noon.Add(step.caughtUp))
		}
		if c.Lit() != step.want {
			t.Fatalf("%s: lit %v, want %v", step.name, c.Lit(), step.want)
		}
	}
}

// ThingsBoard #9156: a reading at the very microsecond of the limit is in time.
func TestReadingAtTheVeryMicrosecondOfTheLimit(t *testing.T) {
	t.Parallel()
	for late, want := range map[time.Duration]Report{
		0:                         {Heard: 1, Watched: 1},
		time.Microsecond:          {Heard: 1, Watched: 1, Turned: 1, Silent: 1},
		hold:                      {Heard: 1, Watched: 1, Turned: 1, Silent: 1},
		hold + time.Microsecond:   {Heard: 1, Watched: 1, Turned: 1, Silent: 1},
		time.Minute:               {Heard: 1, Watched: 1, Turned: 1, Silent: 1},
		heardWithin:               {Heard: 1, Watched: 1, Silent: 1},
		heardWithin + time.Second: {},
	} {
		var w Watch
		w.Add(time.Minute, Heard)
		w.lit = time.Minute + late
		var slots Slots
		w.Look(&slots)
		for _, slot := range slots.Turned {
			w.Checked(slot)
		}
		got := w.Look(&slots)
		if found := len(slots.Overdue) == 1; got != want || found != (late > hold) {
			t.Errorf("%v after the limit: %+v, found %t; want %+v, %t", late, got, found, want, late > hold)
		}
		w.Hear(0, time.Minute)
		if got := w.Look(&slots); got.Silent+got.Turned+len(slots.Overdue)+len(slots.Turned) > 0 {
			t.Errorf("%v after the limit and heard then: %+v, %v", late, got, slots)
		}
	}
}

func TestOutageIsAShareOfTheFleet(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		fleet       Fleet
		outage, lag Change
		holds       bool
	}{
		{"no silence", Fleet{Report: Report{Watched: 1000}}, None, None, false},
		{"exactly 5 %", Fleet{Report: Report{Watched: 1000, Turned: 50, Silent: 50}}, None, None, false},
		{"over 5 %", Fleet{Report: Report{Watched: 1000, Turned: 51, Silent: 51}}, Raise, None, true},
		{"four of ten", Fleet{Report: Report{Watched: 10, Turned: 4, Silent: 4}}, None, None, false},
		{"five of ten", Fleet{Report: Report{Watched: 10, Turned: 5, Silent: 5}}, Raise, None, true},
		{"the same, raised", Fleet{Report: Report{Watched: 10, Turned: 5, Silent: 5}, Outage: AlarmState{Active: true}}, None, None, true},
		{"half of them back", Fleet{Report: Report{Watched: 1000, Silent: 25}, Outage: AlarmState{Active: true}}, Clear, None, false},
		{"not half of them back", Fleet{Report: Report{Watched: 1000, Silent: 26}, Outage: AlarmState{Active: true}}, None, None, true},
		{"all back, as far as one that is behind knows", Fleet{Report: Report{Watched: 1000, Behind: true}, Outage: AlarmState{Active: true}, Lag: AlarmState{Active: true}}, None, None, true},
		{"all back, and a partition says nothing", Fleet{Report: Report{Watched: 1000}, Unknown: true, Outage: AlarmState{Active: true}}, None, None, true},
		{"behind", Fleet{Report: Report{Behind: true}}, None, Raise, false},
		{"caught up", Fleet{Lag: AlarmState{Active: true}}, None, Clear, false},
		{"another partition is behind", Fleet{Report: Report{Behind: true}, Lag: AlarmState{Active: true}}, None, None, false},
	} {
		outage, lag := test.fleet.Decide()
		if holds := test.fleet.HoldsBack(outage); outage != test.outage || lag != test.lag || holds != test.holds {
			t.Errorf("%s: outage %v, lag %v, holds back %t; want %v, %v, %t", test.name, outage, lag, holds, test.outage, test.lag, test.holds)
		}
	}
}

func TestPersonalAlarmsWaitForAnOutageThatMayFollow(t *testing.T) {
	t.Parallel()
	for fleet, want := range map[Report]bool{
		{Watched: 10, Turned: 4}:    false,
		{Watched: 10, Turned: 5}:    true,
		{Watched: 1000, Turned: 10}: false,
		{Watched: 1000, Turned: 11}: true,
	} {
		if got := (&Fleet{Report: fleet}).MayFollow(); got != want {
			t.Errorf("%+v: an outage may follow: %t, want %t", fleet, got, want)
		}
	}
	var w Watch
	w.Add(time.Minute, Heard)
	for late, want := range map[time.Duration]bool{turnedWithin: true, turnedWithin + time.Microsecond: false} {
		if w.lit = time.Minute + late; w.Turned(0) != want {
			t.Errorf("%v after its limit it turned silent of late: %t, want %t", late, !want, want)
		}
	}
}

// BenchmarkLook goes through the customers of a large partition, as a worker does each second.
func BenchmarkLook(b *testing.B) {
	const customers = 1_000_000
	var w Watch
	for range customers {
		w.Add(time.Minute, Heard)
	}
	var slots Slots
	b.ReportAllocs()
	for b.Loop() {
		w.Look(&slots)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/customers, "ns/customer")
}

// TestWhoWasHeldBackHasItsLimitOnceMore ends an outage before everybody is heard again.
func TestWhoWasHeldBackHasItsLimitOnceMore(t *testing.T) {
	t.Parallel()
	var w Watch
	var slots Slots
	for range 10 {
		w.Add(time.Minute, Heard)
	}
	look := func(lit time.Duration, fleet Fleet, outage Change) ([]int, Phase) {
		w.lit = lit
		w.Look(&slots)
		return w.Find(&slots, &fleet, outage)
	}
	active := Fleet{Outage: AlarmState{Active: true}}
	found, phase := look(64*time.Second, active, None)
	if len(found) != 10 || phase != Held {
		t.Fatalf("during an outage %v become %v, want all held back", found, phase)
	}
	for _, slot := range found {
		w.SetPhase(slot, Held)
	}
	if found, _ := look(10*time.Minute, active, None); len(found) != 0 {
		t.Errorf("%v are held back twice", found)
	}
	for _, later := range []time.Duration{0, time.Second, time.Minute} {
		outage := None
		if later == 0 {
			outage = Clear
		}
		if found, _ := look(10*time.Minute+later, Fleet{}, outage); len(found) != 0 {
			t.Errorf("%v after the outage %v are found silent, before their limit", later, found)
		}
	}
	w.Hear(3, time.Minute)
	if found, phase := look(11*time.Minute+time.Second, Fleet{}, None); len(found) != 9 || phase != Silent {
		t.Errorf("after their limit %v become %v, want the nine who are not heard again to be silent", found, phase)
	}
}
