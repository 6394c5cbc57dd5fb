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

// The consumers decide who is silent. The hub shows that and decides nothing: neither by time nor by a reading.
func TestSilenceIsWhatIsStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, live.Options{})
		heard := time.Now()
		hub.SetSilent(map[heartbeat.CustomerID]time.Time{2: heard, 3: heard})
		hub.Observe([]heartbeat.Reading{reading(1, 70, heard), reading(2, 70, heard)})
		time.Sleep(24 * time.Hour)
		want := func(what string, silent ...bool) {
			t.Helper()
			time.Sleep(hub.Tick())
			count := 0
			for i, want := range silent {
				if got, _ := hub.Lookup(heartbeat.CustomerID(i + 1)); got.Silent != want || (got.State() == live.Silent) != want {
					t.Errorf("%s: customer %d is silent: %t, want %t", what, i+1, got.Silent, want)
				}
				if want {
					count++
				}
			}
			if counts := latest(t, hub).Counts; counts[live.Silent] != count || counts[live.Resting] != 2-count {
				t.Errorf("%s: counts are %v, want %d silent", what, counts, count)
			}
		}
		want("at first", false, true)
		if two, _ := hub.Lookup(2); two.Since != heard.UnixMicro() {
			t.Errorf("silent since %d, want when it was heard, %d", two.Since, heard.UnixMicro())
		}
		hub.Observe([]heartbeat.Reading{reading(2, 71, time.Now())})
		want("heard and not stored yet", false, true)
		hub.SetSilent(nil)
		want("stored", false, false)
		hub.SetSilent(map[heartbeat.CustomerID]time.Time{1: time.Now()})
		want("another", true, false)
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
