package status

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/readmodel"
)

func TestLagIsWhatTheConsoleSawAndBeforeThatWhatWasWrittenDown(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 2, 20, 12, 0, 0, 0, time.UTC)
	at := func(minute, offsets int) readmodel.Lag {
		return readmodel.Lag{At: noon.Add(time.Duration(minute) * time.Minute), Offsets: int64(offsets)}
	}
	minutes := newLagSeries(time.Minute, 100)
	for _, point := range []readmodel.Lag{at(20, 1), {At: noon.Add(20*time.Minute + time.Second), Offsets: 8}, at(21, 2), at(27, 3)} {
		minutes.add(point)
	}
	written := []readmodel.Lag{at(0, 50), at(15, 60), at(20, 70), at(25, 80)}
	for name, c := range map[string]struct{ got, want []readmodel.Lag }{
		"by minute":            {MergeLag(written, minutes.since(noon, time.Minute)), []readmodel.Lag{at(0, 50), at(15, 60), at(20, 8), at(21, 2), at(27, 3)}},
		"by five minutes":      {MergeLag(written, minutes.since(noon, 5*time.Minute)), []readmodel.Lag{at(0, 50), at(15, 60), at(20, 8), at(25, 3)}},
		"from later on":        {minutes.since(noon.Add(21*time.Minute), time.Minute), []readmodel.Lag{at(21, 2), at(27, 3)}},
		"of a console just up": {MergeLag(written, nil), written},
		"of nothing at all":    {MergeLag(nil, nil), []readmodel.Lag{}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSeriesKeepsTheNewest(t *testing.T) {
	t.Parallel()
	s := newLagSeries(time.Second, 3)
	for i := range int64(20) {
		s.add(readmodel.Lag{At: time.Unix(i, 0), Offsets: i})
	}
	if got := s.since(time.Time{}, time.Second); len(got) != 3 || got[0].Offsets != 17 {
		t.Errorf("kept %v, want those of seconds 17 to 19", got)
	}
}
