package evaluate

import (
	"math"
	"testing"
	"time"

	"heartbeat/internal/detect"
	"heartbeat/internal/simulate"
)

// start is when the tests' episodes are counted from.
var start = time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC)

func second(n float64) time.Time { return start.Add(time.Duration(n * 1e9)) }

func raised(condition simulate.Condition, at float64) Alarm {
	return Alarm{Condition: condition, Raised: detect.TimeOf(second(at)), Urgent: condition != simulate.BadSignal}
}

func TestAlarmsAreMatchedWithEpisodes(t *testing.T) {
	t.Parallel()
	const hour = 3600
	tachycardia := simulate.Episode{
		Kind: simulate.Tachycardia, Onset: second(100), Crossing: second(120), End: second(400), Expected: simulate.RateHigh,
	}
	exercise := simulate.Episode{Kind: simulate.Exercise, Onset: second(1000), End: second(1600), Expected: simulate.None}
	for name, test := range map[string]struct {
		episodes                              []simulate.Episode
		alarms                                []Alarm
		of, found, falseAlarms, inTachycardia int
		inExercise, elsewhere                 int
		delay                                 float64
	}{
		"in time":             {[]simulate.Episode{tachycardia}, []Alarm{raised(simulate.RateHigh, 150)}, 1, 1, 0, 0, 0, 0, 30},
		"at the onset":        {[]simulate.Episode{tachycardia}, []Alarm{raised(simulate.RateHigh, 100)}, 1, 1, 0, 0, 0, 0, -20},
		"a minute after":      {[]simulate.Episode{tachycardia}, []Alarm{raised(simulate.RateHigh, 460)}, 1, 1, 0, 0, 0, 0, 340},
		"too late":            {[]simulate.Episode{tachycardia}, []Alarm{raised(simulate.RateHigh, 461)}, 1, 0, 1, 0, 0, 1, 0},
		"too early":           {[]simulate.Episode{tachycardia}, []Alarm{raised(simulate.RateHigh, 99)}, 1, 0, 1, 0, 0, 1, 0},
		"twice":               {[]simulate.Episode{tachycardia}, []Alarm{raised(simulate.RateHigh, 150), raised(simulate.RateHigh, 300)}, 1, 1, 1, 1, 0, 0, 30},
		"the wrong condition": {[]simulate.Episode{tachycardia}, []Alarm{raised(simulate.RateLow, 150)}, 1, 0, 1, 1, 0, 0, 0},
		"not at all":          {[]simulate.Episode{tachycardia}, nil, 1, 0, 0, 0, 0, 0, 0},
		"in an episode that needs none": {
			[]simulate.Episode{tachycardia, exercise}, []Alarm{raised(simulate.RateHigh, 1100)}, 1, 0, 1, 0, 1, 0, 0,
		},
		"cut off at the end": {
			[]simulate.Episode{{Kind: simulate.Tachycardia, Onset: second(hour - 300), End: second(hour - 30), Expected: simulate.RateHigh}},
			[]Alarm{raised(simulate.RateHigh, hour-200), raised(simulate.RateLow, hour-200)}, 0, 0, 1, 1, 0, 0, 0,
		},
		"begun before": {
			[]simulate.Episode{{Kind: simulate.Tachycardia, Onset: second(-10), End: second(200), Expected: simulate.RateHigh}},
			[]Alarm{raised(simulate.RateHigh, 5)}, 0, 0, 0, 0, 0, 0, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := newScore()
			got.judge(period{detect.TimeOf(start), detect.TimeOf(second(hour))}, test.episodes, test.alarms)
			falseAlarms, elsewhere, of, found, urgent := 0, 0, 0, 0, 0
			var delays []float32
			for i := range got.conditions {
				c := &got.conditions[i]
				falseAlarms, elsewhere, of, found = falseAlarms+c.falseAlarms, elsewhere+got.elsewhere[i], of+c.episodes, found+c.found
				urgent += c.falseUrgent
				delays = append(delays, c.delays...)
			}
			sum := func(counts [conditionCount]int) (n int) {
				for _, count := range counts {
					n += count
				}
				return n
			}
			during, exercising := sum(got.kinds[simulate.Tachycardia].falseAlarms), sum(got.kinds[simulate.Exercise].falseAlarms)
			if of != test.of || found != test.found || falseAlarms != test.falseAlarms || urgent != falseAlarms {
				t.Errorf("%d of %d found, %d false, %d of them urgent; want %d of %d, %d", found, of, falseAlarms, urgent, test.found, test.of, test.falseAlarms)
			}
			if during != test.inTachycardia || exercising != test.inExercise || elsewhere != test.elsewhere {
				t.Errorf("false in tachycardia %d, in exercise %d, elsewhere %d; want %d, %d, %d",
					during, exercising, elsewhere, test.inTachycardia, test.inExercise, test.elsewhere)
			}
			if got := percentile(delays, 0.5); math.Abs(got-test.delay) > 1e-3 {
				t.Errorf("delay %.3f s, want %v s", got, test.delay)
			}
		})
	}
}

func TestAlarmsFollowTransitions(t *testing.T) {
	t.Parallel()
	at := func(kind detect.Kind, condition detect.Condition, priority detect.Priority, seconds int64) detect.Transition {
		return detect.Transition{Kind: kind, Condition: condition, Priority: priority, At: detect.Time(seconds * 1e6)}
	}
	var a Alarms
	a.Apply([]detect.Transition{
		at(detect.Raise, detect.RateHigh, detect.Low, 1), at(detect.Raise, detect.BadSignal, detect.Low, 2), at(detect.Worsen, detect.RateHigh, detect.High, 3),
		at(detect.Clear, detect.RateHigh, detect.High, 4), at(detect.Reopen, detect.RateHigh, detect.High, 5), at(detect.Raise, detect.RateLow, detect.Low, 6),
	})
	want := []Alarm{
		{simulate.RateHigh, 1e6, true, false}, {simulate.BadSignal, 2e6, false, false}, {simulate.RateHigh, 5e6, true, true}, {simulate.RateLow, 6e6, false, false},
	}
	if len(a.All) != len(want) {
		t.Fatalf("alarms %+v, want %+v", a.All, want)
	}
	for i := range want {
		if a.All[i] != want[i] {
			t.Errorf("alarm %d is %+v, want %+v", i, a.All[i], want[i])
		}
	}
}

// TestIntervals compares with published values: Wilson's of Newcombe 1998, the exact Poisson interval of Ulm 1990.
func TestIntervals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		count, of   int
		least, most float64
	}{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {29, 29, 0.8830, 1}} {
		if got := shareOf(test.count, test.of); math.Abs(got.Least-test.least) > 1e-4 || math.Abs(got.Most-test.most) > 1e-4 {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", test.count, test.of, got.Least, got.Most, test.least, test.most)
		}
	}
	for _, test := range []struct {
		count       int
		least, most float64
	}{{0, 0, 3.689}, {1, 0.0253, 5.572}, {3, 0.6187, 8.767}, {10, 4.795, 18.39}, {100, 81.36, 121.63}} {
		got := rateOf(test.count, 2)
		if math.Abs(2*got.Least-test.least) > 0.02+0.01*test.least || math.Abs(2*got.Most-test.most) > 0.01*test.most {
			t.Errorf("%d: %.3f to %.3f, want %.3f to %.3f", test.count, 2*got.Least, 2*got.Most, test.least, test.most)
		}
	}
	if got := shareOf(0, 0); got.Least != 0 || got.Most != 1 || got.String() != "-" {
		t.Errorf("a share of nothing is %+v", got)
	}
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	values := []float32{4, 1, 3, 2, 5, 6, 7, 8, 9, 10}
	for share, want := range map[float64]float64{0: 1, 0.05: 1, 0.1: 1, 0.5: 5, 0.51: 6, 0.95: 10, 1: 10} {
		if got := percentile(values, share); got != want {
			t.Errorf("percentile %v is %v, want %v", share, got, want)
		}
	}
	if got := percentile(nil, 0.5); got != 0 {
		t.Errorf("percentile of nothing is %v", got)
	}
}
