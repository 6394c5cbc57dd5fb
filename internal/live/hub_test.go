package live_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/live"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a Hub inside a synctest bubble until the test ends.
func start(t *testing.T, options live.Options) *live.Hub {
	t.Helper()
	hub := live.New(options)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- hub.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != context.Canceled {
			t.Errorf("Run ended with %v, want context.Canceled", err)
		}
	})
	return hub
}

func reading(id heartbeat.CustomerID, bpm float64, at time.Time) heartbeat.Reading {
	class, stored := heartbeat.Classify(bpm)
	return heartbeat.Reading{Customer: id, Class: class, BPM: stored, Time: at.UTC().Truncate(time.Microsecond)}
}

func next(t *testing.T, hub *live.Hub, cursor live.Cursor) live.Update {
	t.Helper()
	update, err := hub.Next(t.Context(), cursor)
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	return update
}

// latest asks until the frame after everything observed so far.
func latest(t *testing.T, hub *live.Hub) live.Update {
	t.Helper()
	first := next(t, hub, live.Cursor{})
	return next(t, hub, live.Cursor{Frame: first.To})
}

func TestViewerThatKeepsUpGetsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, live.Options{})
		hub.Observe([]heartbeat.Reading{reading(7, 70, time.Now()), reading(3, 75, time.Now())})
		update := latest(t, hub)
		if got := customers(update); !cmp.Equal(got, []heartbeat.CustomerID{3, 7}) {
			t.Fatalf("first frame holds %v, want customers 3 and 7 in order", got)
		}
		hub.Observe([]heartbeat.Reading{reading(7, 71, time.Now()), reading(7, 72, time.Now())})
		update = next(t, hub, update.Cursor)
		if len(update.Changes) != 1 || update.Changes[0].BPM != 72 {
			t.Fatalf("second frame holds %+v, want customer 7 at 72 alone", update.Changes)
		}
		if update = next(t, hub, update.Cursor); len(update.Changes) != 0 {
			t.Fatalf("quiet frame holds %+v, want nothing", update.Changes)
		}
	})
}

func TestViewersInStepShareOneFrame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, live.Options{})
		hub.Observe([]heartbeat.Reading{reading(1, 70, time.Now())})
		cursor := next(t, hub, live.Cursor{}).Cursor
		if a, b := next(t, hub, cursor), next(t, hub, cursor); a.Frame != b.Frame {
			t.Error("two viewers with one cursor got two copies of the frame")
		}
	})
}

func TestSlowReaderSkipsValuesAndEndsWithTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, live.Options{})
		behind := next(t, hub, live.Cursor{}).Cursor
		for i := range 40 {
			hub.Observe([]heartbeat.Reading{reading(5, float64(60+i), time.Now()), reading(6, 80, time.Now())})
			time.Sleep(hub.Tick()) // the bubble's clock: forty frames pass
		}
		update := next(t, hub, behind)
		if len(update.Changes) != 2 || update.Changes[0].BPM != 99 {
			t.Fatalf("after 40 frames a slow reader got %+v, want customers 5 at 99 and 6 at 80", update.Changes)
		}
		if update.From != behind.Frame {
			t.Errorf("the frame begins after %d, want %d", update.From, behind.Frame)
		}
	})
}

func TestAnyRateEndsAtTheSameWall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, live.Options{})
		random := rand.New(rand.NewPCG(1, 2))
		walls := make([]map[heartbeat.CustomerID]live.Change, 4)
		cursors := make([]live.Cursor, len(walls))
		for i := range walls {
			walls[i] = map[heartbeat.CustomerID]live.Change{}
		}
		for step := range 200 {
			for range 20 {
				id := heartbeat.CustomerID(random.IntN(3000))
				hub.Observe([]heartbeat.Reading{reading(id, float64(random.IntN(320)), time.Now())})
			}
			time.Sleep(hub.Tick())
			for i := range walls {
				if last := step == 199; last || random.IntN(1<<i) == 0 {
					update := next(t, hub, cursors[i])
					cursors[i] = update.Cursor
					for _, change := range update.Changes {
						change.StateChanged = false
						walls[i][change.Customer] = change
					}
				}
			}
		}
		for i, wall := range walls[1:] {
			if diff := cmp.Diff(walls[0], wall); diff != "" {
				t.Errorf("a viewer of rate 1/%d ends with another wall (-fast +slow):\n%s", 2<<i, diff)
			}
		}
	})
}

func TestReconnectResumesAlertsAfterTheCursor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, live.Options{Alerts: 8, AlertBatch: 4})
		raise := func(n int) {
			for range n {
				hub.Observe([]heartbeat.Reading{reading(1, 200, time.Now())})
			}
		}
		raise(2)
		update := latest(t, hub)
		cursor := live.Cursor{Frame: update.To, Alert: 2}
		raise(3)
		update = next(t, hub, cursor)
		if got := ids(update.Alerts); !cmp.Equal(got, []uint64{3, 4, 5}) || update.Missed != 0 {
			t.Fatalf("got alerts %v, missed %d; want 3, 4, 5 and none missed", got, update.Missed)
		}
		raise(20)
		update = next(t, hub, update.Cursor)
		if got := ids(update.Alerts); !cmp.Equal(got, []uint64{22, 23, 24, 25}) || update.Missed != 16 {
			t.Errorf("got alerts %v, missed %d; want the newest four and 16 missed", got, update.Missed)
		}
	})
}

func TestCustomersBeyondTheLimitAreCountedNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, live.Options{MaxCustomers: 2048})
		hub.Observe([]heartbeat.Reading{
			reading(1, 70, time.Now()),
			reading(heartbeat.MaxCustomerID, 70, time.Now()),
			reading(500_000, 70, time.Now()),
		})
		update := latest(t, hub)
		if update.Untracked != 1 || update.Observed != 3 {
			t.Errorf("untracked %d of %d, want 1 of 3", update.Untracked, update.Observed)
		}
		if _, ok := hub.Lookup(heartbeat.MaxCustomerID); !ok {
			t.Error("the largest customer number is not kept although MaxCustomers allows it")
		}
	})
}

func TestRestoreIsSeenButNotCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, live.Options{})
		hub.Restore([]heartbeat.Reading{reading(9, 66, time.Now())}, []heartbeat.Reading{reading(9, 30, time.Now())})
		update := next(t, hub, live.Cursor{})
		if len(update.Changes) != 1 || len(update.Alerts) != 1 || update.Observed != 0 {
			t.Errorf("got %d changes, %d alerts, %d observed; want 1, 1, 0", len(update.Changes), len(update.Alerts), update.Observed)
		}
	})
}

func TestRateIsMeasuredOverTheLastSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, live.Options{})
		for range 40 {
			hub.Observe(slices.Repeat([]heartbeat.Reading{reading(1, 70, time.Now())}, 25))
			time.Sleep(hub.Tick())
		}
		if rate := latest(t, hub).Rate; rate < 90 || rate > 110 {
			t.Errorf("rate is %.1f, want 100 per second", rate)
		}
	})
}

func TestSecondsSumUpReadingsByTheirOwnTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, live.Options{})
		begin := time.Now()
		time.Sleep(2 * time.Second)
		hub.Observe([]heartbeat.Reading{
			reading(1, 60, begin), reading(2, 80, begin.Add(500*time.Millisecond)), reading(3, 200, begin),
			reading(1, 70, begin.Add(time.Second)),
			reading(1, 70, begin.Add(-time.Hour)), reading(1, 70, begin.Add(time.Hour)),
		})
		want := []live.Second{
			{Unix: begin.Unix(), Classes: [4]int64{2, 0, 1, 0}, Sum: 140, Min: 60, Max: 80, Delay: 5_500_000, Slowest: 2_000_000},
			{Unix: begin.Unix() + 1, Classes: [4]int64{1, 0, 0, 0}, Sum: 70, Min: 70, Max: 70, Delay: 1_000_000, Slowest: 1_000_000},
		}
		if diff := cmp.Diff(want, hub.Seconds(begin)); diff != "" {
			t.Errorf("seconds (-want +got):\n%s", diff)
		}
	})
}

func TestNextEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := live.New(live.Options{}) // never ticks
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first := next(t, hub, live.Cursor{})
		if _, err := hub.Next(ctx, first.Cursor); err != context.DeadlineExceeded {
			t.Errorf("Next returned %v, want the context's error", err)
		}
	})
}

func TestViewersThatNeverAskCostNothing(t *testing.T) {
	t.Parallel()
	hub := live.New(live.Options{})
	batch := make([]heartbeat.Reading, 1000)
	for i := range batch {
		batch[i] = reading(heartbeat.CustomerID(i), 70, time.Now())
	}
	hub.Observe(batch)
	before := heap()
	for range 2000 {
		hub.Observe(batch)
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("heap grew from %d to %d bytes over 2,000,000 readings without a viewer", before, after)
	}
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func customers(update live.Update) []heartbeat.CustomerID {
	ids := make([]heartbeat.CustomerID, len(update.Changes))
	for i, change := range update.Changes {
		ids[i] = change.Customer
	}
	return ids
}

func ids(alerts []live.Alert) []uint64 {
	numbers := make([]uint64, len(alerts))
	for i, alert := range alerts {
		numbers[i] = alert.ID
	}
	return numbers
}

func BenchmarkObserve(b *testing.B) {
	hub := live.New(live.Options{})
	batch := make([]heartbeat.Reading, 1000)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		for i := range batch {
			batch[i] = heartbeat.Reading{Customer: heartbeat.CustomerID(i * 97 % 100_000), BPM: 75, Time: now}
		}
		hub.Observe(batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/reading")
}

func TestLateReadingsRaiseNoAlert(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := start(t, live.Options{})
		now := time.Now()
		hub.Observe([]heartbeat.Reading{reading(1, 72, now)})
		hub.ObserveLate([]heartbeat.Reading{reading(1, 200, now.Add(-time.Hour)), reading(2, 200, now.Add(-time.Hour))})
		if alerts := hub.Alerts(10); len(alerts) != 0 {
			t.Errorf("late readings raised %+v", alerts)
		}
		latest(t, hub)
		if first, _ := hub.Lookup(1); first.BPM != 72 {
			t.Errorf("the value of customer 1 is %d after a late reading, want 72", first.BPM)
		}
		if second, ok := hub.Lookup(2); !ok || second.BPM != 200 {
			t.Errorf("the value of customer 2 is %+v, want the latest that is known, 200", second)
		}
	})
}
