package heartbeat

import "testing"

func TestBandAtEveryBoundary(t *testing.T) {
	t.Parallel()
	for rate, want := range map[BPM]string{
		-1: "", 0: "", 39: "",
		40: "low", 59: "low",
		60: "resting", 75: "resting", 100: "resting",
		101: "elevated", 140: "elevated",
		141: "very high", 180: "very high",
		181: "", 400: "",
	} {
		if got := BandOf(rate).String(); got != want {
			t.Errorf("%d bpm is shown as %q, want %q", rate, got, want)
		}
	}
}

func TestEveryNormalRateAndNoOtherHasABand(t *testing.T) {
	t.Parallel()
	for rate := BPM(-10); rate <= 310; rate++ {
		class, _ := Classify(float64(rate))
		if normal := class == Normal; normal != (BandOf(rate) != NoBand) {
			t.Errorf("%d bpm is %s and has the band %q", rate, class, BandOf(rate))
		}
	}
}
