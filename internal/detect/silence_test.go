package detect

import (
	"encoding/hex"
	"math"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"heartbeat/internal/heartbeat"
)

// arrivals steps readings of one customer with these gaps.
func arrivals(t *testing.T, state *State, gaps ...time.Duration) {
	t.Helper()
	d := newDetector(t)
	at := max(state.Heard(), start)
	for i, gap := range gaps {
		at += Time(gap.Microseconds())
		d.Step(state, Reading{Event: at, Kafka: at, Offset: int64(i), BPM: 75 + heartbeat.BPM(i%3), Class: heartbeat.Normal}, DefaultLimits(), nil)
	}
}

func gaps(gap time.Duration, n int) (all []time.Duration) {
	for range n {
		all = append(all, gap)
	}
	return all
}

func TestLimitOfSilenceFollowsTheGaps(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var exponential []time.Duration
	for range 2000 {
		exponential = append(exponential, time.Duration(random.ExpFloat64()*float64(30*time.Second)))
	}
	bursts := gaps(5*time.Minute, 1)
	for range 30 {
		bursts = append(bursts, append(gaps(3*time.Millisecond, 59), 5*time.Minute)...)
	}
	for name, test := range map[string]struct {
		gaps       []time.Duration
		least, top time.Duration
	}{
		"each 5 s":                       {gaps(5*time.Second, 40), time.Minute, time.Minute},
		"ten a second":                   {gaps(100*time.Millisecond, 400), time.Minute, time.Minute},
		"each 2 min":                     {gaps(2*time.Minute, 40), 6 * time.Minute, 6 * time.Minute},
		"19 gaps":                        {gaps(5*time.Second, 20), 0, 0},
		"20 gaps":                        {gaps(5*time.Second, 21), time.Minute, time.Minute},
		"each 10 min":                    {gaps(10*time.Minute, 40), 30 * time.Minute, 30 * time.Minute},
		"each 10 min and a second":       {gaps(10*time.Minute+time.Second, 40), 0, 0},
		"once in 83 min":                 {gaps(83*time.Minute, 40), 0, 0},
		"at random, each 30 s":           {exponential, 2 * time.Minute, 15 * time.Minute},
		"sixty at once each 5 min":       {bursts, 15 * time.Minute, 20 * time.Minute},
		"an outage of a day":             {append(gaps(5*time.Second, 40), 24*time.Hour, 5*time.Second), time.Minute, 2 * time.Minute},
		"from each 5 s to each 2 min":    {append(gaps(5*time.Second, 40), gaps(2*time.Minute, 200)...), 6 * time.Minute, 7 * time.Minute},
		"from each 2 min to each 5 s":    {append(gaps(2*time.Minute, 40), gaps(5*time.Second, 200)...), time.Minute, time.Minute},
		"a night between the first gaps": {append(append(gaps(5*time.Second, 5), 8*time.Hour), gaps(5*time.Second, 60)...), time.Minute, 20 * time.Minute},
	} {
		var state State
		arrivals(t, &state, test.gaps...)
		if got := state.SilentAfter(); got < test.least-100*time.Millisecond || got > test.top+100*time.Millisecond {
			t.Errorf("%s: silent after %v, want %v to %v", name, got, test.least, test.top)
		}
		roundTrip(t, state)
	}
}

// The integers of the state against the formula, in floating point.
func TestGapStatisticsAreThoseOfTheFormula(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	var state State
	mean, deviation := 0.0, 0.0
	arrivals(t, &state, time.Second)
	for i := range 500 {
		gap := time.Duration(5000+random.IntN(20_000)) * time.Millisecond
		arrivals(t, &state, gap)
		if x := gap.Seconds(); i == 0 {
			mean = x
		} else {
			deviation += 0.1 * (math.Abs(x-mean) - deviation)
			mean += 0.1 * (x - mean)
		}
		if want := max(60, 3*(mean+4*deviation)); i >= 20 && math.Abs(state.SilentAfter().Seconds()-want) > 0.3 {
			t.Fatalf("gap %d: silent after %v, the formula says %.1f s", i, state.SilentAfter(), want)
		}
	}
}

// A clock an hour ahead for a moment neither counts as a gap nor hides the next ones.
func TestClockAheadChangesNoLimitOfSilence(t *testing.T) {
	t.Parallel()
	var state State
	arrivals(t, &state, gaps(5*time.Second, 40)...)
	d := newDetector(t)
	at := state.Heard()
	for i, kafka := range []Time{at + 60*minute, at + 5*second, at + 10*second, at + 15*second} {
		d.Step(&state, Reading{Event: kafka, Kafka: kafka, Offset: int64(100 + i), BPM: 75, Class: heartbeat.Normal}, DefaultLimits(), nil)
	}
	if got := state.SilentAfter(); got < time.Minute || got > 2*time.Minute {
		t.Errorf("silent after %v, want about a minute", got)
	}
}

// A consumer of an earlier version leaves states with ids of alarms and without gaps.
func TestStateOfVersion2IsRead(t *testing.T) {
	t.Parallel()
	const stored = "02c0c28ad9eeff9603c0c28ad9eeff96030388278827882705c301c301c301c301c3018087a70e0ac0caba15000c000c000c0402020c00050c02b74ee0d46f" +
		"4187f3a6b3a433c14a650a02c301871a78abfcea8060b9d8edf647ff9d8608a0f8c4d506abd0fd101e9e86aead534c6a19d202eb"
	encoded, err := hex.DecodeString(stored)
	if err != nil {
		t.Fatal(err)
	}
	var state State
	if err := state.UnmarshalBinary(encoded); err != nil {
		t.Fatal(err)
	}
	high, _ := state.Episode(RateHigh)
	low, known := state.Episode(RateLow)
	signal, _ := state.Episode(BadSignal)
	if !high.Active || high.Peak != 195 || low.Active || !known || !signal.Active {
		t.Errorf("alarms %+v, %+v, %+v, want rate_high and bad_signal active, rate_low cleared", high, low, signal)
	}
	if got := state.SilentAfter(); got != 0 {
		t.Errorf("silent after %v, want unknown", got)
	}
	arrivals(t, &state, gaps(5*time.Second, 21)...)
	if got := state.SilentAfter(); got != time.Minute {
		t.Errorf("silent after %v once 20 gaps are known, want a minute", got)
	}
	roundTrip(t, state)
}

// The budget of a customer has room for the 16 bytes of a silence.Watch, the number of its latest round and its id.
func TestStateLeavesRoomForSilence(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(State{}); size > 200-21-16-4-4 {
		t.Errorf("a State takes %d bytes", size)
	}
}
