package suggest

import (
	"testing"
	"time"

	"heartbeat/internal/heartbeat"
)

var midnight = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)

// days are minutes of a customer who sleeps from 22 to 6 o'clock at 50 ± 5 and is awake at 80 ± 15.
func days(n int, zone time.Duration) (minutes []Stretch) {
	for i := range n * 1440 {
		rate := 80 + i%31 - 15
		if hour := i / 60 % 24; hour >= 22 || hour < 6 {
			rate = 50 + i%11 - 5
		}
		minutes = append(minutes, Stretch{midnight.Add(time.Duration(i)*time.Minute - zone), heartbeat.BPM(rate)})
	}
	return minutes
}

func TestLimitsLieOutsideOfWhatIsUsual(t *testing.T) {
	t.Parallel()
	for _, zone := range []time.Duration{0, 2 * time.Hour, -5 * time.Hour} {
		got := Limits(days(9, zone), time.Minute, nil, int(zone.Minutes()))
		all, night := got[0], got[1]
		if !all.Enough || all.Evidence.Days != 9 || all.Evidence.Lowest != 45 || all.Evidence.Highest != 95 || all.Evidence.Median < 65 || all.Evidence.Median > 75 {
			t.Errorf("zone %v: the day is %+v", zone, all)
		}
		if all.Hours != "" || all.Low >= 45 || all.Low < 25 || all.High <= 95 || all.High > 130 || all.High%5 != 0 {
			t.Errorf("zone %v: for the day %+v", zone, all)
		}
		if !night.Enough || night.Evidence.Days < 8 || night.Hours != Night || night.UTCOffset != int(zone.Minutes()) || night.Evidence.Highest != 55 {
			t.Errorf("zone %v: the night is %+v", zone, night)
		}
		if night.Low < 40 || night.Low > 44 || night.High != 100 || !night.Bounded {
			t.Errorf("zone %v: for the night %+v, want 100 as the least upper limit", zone, night)
		}
	}
}

func TestTooLittleGivesEvidenceOnly(t *testing.T) {
	t.Parallel()
	got := Limits(days(6, 0), time.Minute, nil, 0)
	if all := got[0]; all.Enough || all.Low != 0 || all.High != 0 || all.Evidence.Days != 6 || all.Evidence.Median == 0 {
		t.Errorf("six days give %+v", all)
	}
	var evenings []Stretch
	for _, s := range days(20, 0) {
		if hour := s.At.Hour(); hour >= 17 && hour < 21 {
			evenings = append(evenings, s)
		}
	}
	if got := Limits(evenings, time.Minute, nil, 0); got[0].Enough || got[0].Evidence.Days != 0 || got[1].Evidence.Stretches != 0 {
		t.Errorf("four hours a day give %+v", got)
	}
	if got := Limits(nil, time.Minute, nil, 0); got[0].Enough || got[0].Evidence.Stretches != 0 {
		t.Errorf("nothing gives %+v", got)
	}
}

func TestTimeWithAnAlarmIsLeftOut(t *testing.T) {
	t.Parallel()
	minutes := days(9, 0)
	ill := Span{midnight.Add(36 * time.Hour), midnight.Add(40 * time.Hour)}
	for i := range minutes {
		if at := minutes[i].At; !at.Before(ill.From) && at.Before(ill.To) {
			minutes[i].BPM = 200
		}
	}
	well, without, with := Limits(days(9, 0), time.Minute, nil, 0)[0], Limits(minutes, time.Minute, nil, 0)[0], Limits(minutes, time.Minute, []Span{ill}, 0)[0]
	if without.High <= 200 || with.High != well.High || with.Evidence.LeftOut != 240 {
		t.Errorf("with the illness %+v, without it %+v, never ill %+v", without, with, well)
	}
}
