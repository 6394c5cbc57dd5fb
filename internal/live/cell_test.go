package live_test

import (
	"testing"
	"testing/synctest"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/live"
)

func TestOlderReadingNeverReplacesANewerOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, live.Options{})
		now := time.Now()
		hub.Observe([]heartbeat.Reading{reading(1, 70, now), reading(1, 200, now.Add(-time.Second))})
		if got, _ := hub.Lookup(1); got.BPM != 70 {
			t.Errorf("the value is %d after a late reading, want 70", got.BPM)
		}
		hub.Observe([]heartbeat.Reading{reading(1, 71, now)})
		if got, _ := hub.Lookup(1); got.BPM != 71 {
			t.Errorf("the value is %d after a second reading of the same time, want the later one, 71", got.BPM)
		}
	})
}

func TestSilenceFollowsTheCustomersInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, live.Options{})
		for range 10 {
			hub.Observe([]heartbeat.Reading{reading(1, 70, time.Now()), reading(2, 70, time.Now())})
			time.Sleep(5 * time.Second)
		}
		last := time.Now()
		hub.Observe([]heartbeat.Reading{reading(1, 70, last)})
		time.Sleep(48 * time.Second)
		if one, _ := hub.Lookup(1); one.Silent {
			t.Error("customer 1 is silent 48 s after its last reading, want it silent after 50 s at 5 s between readings")
		}
		two, _ := hub.Lookup(2)
		if !two.Silent || two.State() != live.Silent {
			t.Error("customer 2 is not silent 53 s after its last reading")
		}
		if counts := latest(t, hub).Counts; counts[live.Silent] != 1 || counts[live.Resting] != 1 {
			t.Errorf("counts are %v, want one silent and one resting", counts)
		}
		hub.Observe([]heartbeat.Reading{reading(2, 70, time.Now())})
		if two, _ := hub.Lookup(2); two.Silent {
			t.Error("customer 2 is still silent after a reading")
		}
	})
}

func TestSinceIsWhenTheStateBegan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, live.Options{})
		begin := time.Now()
		hub.Observe([]heartbeat.Reading{reading(1, 200, begin)})
		hub.Observe([]heartbeat.Reading{reading(1, 210, begin.Add(time.Second))})
		change, _ := hub.Lookup(1)
		if change.Since != begin.UnixMicro() || change.Time != begin.Add(time.Second).UnixMicro() {
			t.Errorf("since %d and time %d, want the first tachycardia and the second", change.Since, change.Time)
		}
	})
}
