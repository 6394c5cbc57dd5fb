package live_test

import (
	"testing"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/live"
)

func TestStateAtEveryBoundary(t *testing.T) {
	t.Parallel()
	for bpm, want := range map[heartbeat.BPM]live.State{
		-2147483648: live.Invalid, -1: live.Invalid, 0: live.Invalid,
		1: live.Bradycardia, 39: live.Bradycardia,
		40: live.Low, 59: live.Low,
		60: live.Resting, 100: live.Resting,
		101: live.Elevated, 140: live.Elevated,
		141: live.VeryHigh, 180: live.VeryHigh,
		181: live.Tachycardia, 300: live.Tachycardia,
		301: live.Invalid, 2147483647: live.Invalid,
	} {
		if got := live.StateOf(bpm); got != want {
			t.Errorf("StateOf(%d) is %s, want %s", bpm, got, want)
		}
	}
}

func TestStateNamesAreReadBack(t *testing.T) {
	t.Parallel()
	for _, state := range live.States {
		if got, ok := live.ParseState(state.String()); !ok || got != state {
			t.Errorf("ParseState(%q) is %s, %v", state, got, ok)
		}
	}
	if _, ok := live.ParseState("asleep"); ok {
		t.Error("ParseState takes a name that no state has")
	}
}
