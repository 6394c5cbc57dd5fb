package detect

import "testing"

// The ids are in databases: a change of this test is a change of every alarm's name.
func TestAlarmIDIsStable(t *testing.T) {
	t.Parallel()
	const want = "e6c06967-31e2-84da-b65f-3a24a707014e" // printf heartbeat-events/2/4711/rate_high | sha256sum, with 8 and the variant put in
	if got := (Source{"heartbeat-events", 2}).AlarmID(4711, RateHigh).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEpisodeCanBeSetFromTheDatabase(t *testing.T) {
	t.Parallel()
	for _, c := range Conditions {
		for _, want := range []Episode{
			{}, {Active: true, Priority: Low, Peak: 33}, {Cleared: start},
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
	state.SetEpisode(RateHigh, Episode{Active: true, Priority: High, Peak: 200})
	var got []Transition
	for _, r := range every(5).values(breathing(75, 10)...).readings {
		got = d.Step(&state, r, DefaultLimits(), got)
	}
	if len(got) != 1 || got[0].Kind != Clear {
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
