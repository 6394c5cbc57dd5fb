package detect

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The ids are in databases: a change of this test is a change of every alarm's name.
func TestAlarmIDIsStable(t *testing.T) {
	t.Parallel()
	const want = "e6c06967-31e2-84da-b65f-3a24a707014e" // printf heartbeat-events/2/4711/rate_high | sha256sum, with 8 and the variant put in
	if got := (Source{"heartbeat-events", 2}).AlarmID(4711, RateHigh).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFoldMakesOneChangePerAlarm(t *testing.T) {
	t.Parallel()
	first, second := testSource.AlarmID(1, RateHigh), testSource.AlarmID(9, RateHigh)
	raise := Transition{Alarm: first, Condition: RateHigh, Kind: Raise, Priority: Low, Peak: 190, Offset: 1}
	worsen := Transition{Alarm: first, Condition: RateHigh, Kind: Worsen, Priority: High, Peak: 200, Offset: 2}
	clear1 := Transition{Alarm: first, Condition: RateHigh, Kind: Clear, Priority: High, Peak: 200, Offset: 3}
	reopen := Transition{Alarm: first, Condition: RateHigh, Kind: Reopen, Priority: Low, Peak: 185, Offset: 4}
	clear2 := Transition{Alarm: first, Condition: RateHigh, Kind: Clear, Priority: Low, Peak: 185, Offset: 5}
	again := Transition{Alarm: second, Condition: RateHigh, Kind: Raise, Priority: High, Peak: 195, Offset: 9}
	got := Fold([]Transition{raise, worsen, clear1, reopen, clear2, again}, nil)
	want := []Change{
		{First: raise, Last: clear2, Highest: High, Peak: 200, Opened: 2, Worsened: true},
		{First: again, Last: again, Highest: High, Peak: 195, Opened: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fold (-want +got):\n%s", diff)
	}
	low := []Transition{
		{Alarm: second, Condition: RateLow, Kind: Raise, Peak: 35, Offset: 1},
		{Alarm: first, Condition: RateHigh, Kind: Clear, Peak: 30, Offset: 1},
		{Alarm: second, Condition: RateLow, Kind: Worsen, Peak: 31, Offset: 2},
	}
	if got = Fold(low, nil); len(got) != 2 || got[0].Active() || got[1].Peak != 31 {
		t.Errorf("fold gave %+v, want the closed alarm first and a peak of 31", got)
	}
}

func TestEpisodeCanBeSetFromTheDatabase(t *testing.T) {
	t.Parallel()
	id := testSource.AlarmID(5, RateLow)
	for _, c := range Conditions {
		for _, want := range []Episode{
			{}, {Alarm: id, Active: true, Priority: Low, Peak: 33}, {Alarm: id, Cleared: start},
		} {
			var state State
			state.SetEpisode(c, want)
			if got, ok := state.Episode(c); got != want || ok != (want != Episode{}) {
				t.Errorf("%v: set %+v, got %+v", c, want, got)
			}
			roundTrip(t, state)
		}
	}
	d := newDetector(t)
	var state State
	state.SetEpisode(RateHigh, Episode{Alarm: id, Active: true, Priority: High, Peak: 200})
	var got []Transition
	for _, r := range every(5).values(breathing(75, 10)...).readings {
		got = d.Step(&state, r, DefaultLimits(), got)
	}
	if len(got) != 1 || got[0].Kind != Clear || got[0].Alarm != id {
		t.Errorf("readings of 75 after an alarm set by hand gave %+v, want its clear", got)
	}
}

func TestWrongSettingIsNamed(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*Settings){
		func(s *Settings) { s.Median = 6 },
		func(s *Settings) { s.OnReadings = 0 },
		func(s *Settings) { s.OnDelay = -1 },
		func(s *Settings) { s.Limits.High = 99 },
	} {
		settings := DefaultSettings()
		change(&settings)
		if _, err := New(settings, testSource); err == nil {
			t.Errorf("settings %+v are accepted", settings)
		}
	}
}
