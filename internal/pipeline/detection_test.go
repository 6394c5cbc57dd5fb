package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
)

func newDetectingWorker(t interface{ Fatal(...any) }, store *memory) *Worker {
	logger := slog.New(slog.DiscardHandler)
	return NewWorker(Options{
		Partition: Partition{Topic: "heartbeat-events", Number: 1},
		Store:     store, Meter: NewMeter(logger, prometheus.NewRegistry()), Logger: logger,
		Detection: &Detection{Settings: detect.DefaultSettings(), Limits: defaultLimits(t), Store: store},
	})
}

// plainTransitions is detection as plain as it can be: each customer's readings in the order of their offsets.
func plainTransitions(t interface{ Fatal(...any) }, log string, records []heartbeat.Record, dead map[int64]bool) []alarm.Transition {
	detector, err := detect.New(detect.DefaultSettings(), detect.Source{Log: log, Partition: 1})
	if err != nil {
		t.Fatal(err)
	}
	limits := defaultLimits(t)
	states := map[heartbeat.CustomerID]*detect.State{}
	var decoder heartbeat.Decoder
	var all []alarm.Transition
	for _, record := range records {
		reading, rejection := decoder.Decode(record)
		if rejection != nil || dead[record.Offset] {
			continue
		}
		if states[reading.Customer] == nil {
			states[reading.Customer] = new(detect.State)
		}
		input := detect.ReadingOf(&reading, record.Timestamp, record.Offset)
		for _, t := range detector.Step(states[reading.Customer], input, limits.At(reading.Customer, input.TimeUsed()), nil) {
			all = append(all, alarm.Detected(reading.Customer, &t))
		}
	}
	return all
}

// episodes draws records of a few customers whose rates go up and down past the limits, with INVALID values and late uploads.
func episodes(t *rapid.T) []heartbeat.Record {
	customers := rapid.IntRange(1, 4).Draw(t, "customers")
	rates := make([]int, customers)
	for i := range rates {
		rates[i] = 80
	}
	var records []heartbeat.Record
	for offset := range int64(rapid.IntRange(20, 300).Draw(t, "records")) {
		customer := int(offset) % customers
		switch rapid.IntRange(0, 19).Draw(t, "what") {
		case 0:
			rates[customer] = rapid.SampledFrom([]int{30, 80, 190, 400}).Draw(t, "rate")
		case 1:
			rates[customer] = 190
		}
		at := epoch.Add(time.Duration(offset) * 5 * time.Second / time.Duration(customers))
		event := heartbeat.Event{Customer: heartbeat.CustomerID(customer + 1), Rate: heartbeat.BPM(rates[customer]), Time: at}
		record := heartbeat.Record{Offset: offset, Timestamp: at}
		switch rapid.IntRange(0, 29).Draw(t, "clock") {
		case 0:
			event.Time = at.Add(9 * time.Minute)
		case 1:
			event.Time = at.Add(-11 * time.Hour)
		}
		record.Value = event.AppendJSON(nil)
		records = append(records, record)
	}
	return records
}

// Whatever happens to the store and the process, each transition of an unbroken run is committed exactly once, in order.
func TestAlarmsAreThoseOfAnUnbrokenRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubbled{t}, func(t *rapid.T) {
			records := episodes(t)
			count := int64(len(records))
			refused := map[int64]bool{}
			for _, offset := range rapid.SliceOfN(rapid.Int64Range(0, count-1), 0, 3).Draw(t, "refused") {
				refused[offset] = true
			}
			store := newMemory()
			fault := func() int { return rapid.IntRange(0, 9).Draw(t, "fault") }
			store.readFault = func() error {
				if fault() == 0 {
					return &Fault{Transient, errors.New("connection refused")}
				}
				return nil
			}
			killed := false
			var cancel context.CancelFunc
			store.fault = func(b *Batch) (bool, error) {
				for _, r := range b.Readings {
					if refused[r.Offset] {
						return false, &Fault{BadData, errors.New("value out of range")}
					}
				}
				switch fault() {
				case 0:
					return false, &Fault{Transient, errors.New("connection refused")}
				case 1:
					return false, &Fault{OutcomeUnknown, errors.New("connection reset at commit")}
				case 2:
					return true, &Fault{OutcomeUnknown, errors.New("connection reset after commit")}
				case 3:
					killed = true
					cancel()
					return rapid.Bool().Draw(t, "committed"), &Fault{Transient, errors.New("killed")}
				}
				return true, nil
			}
			log := LogBounds{End: count}
			var w *Worker
			at := int64(0)
			start := func() {
				w = newDetectingWorker(t, store)
				at = mustClaim(t, w, log)
			}
			start()
			for at < count {
				size := min(rapid.Int64Range(1, 40).Draw(t, "size"), count-at)
				var ctx context.Context
				ctx, cancel = context.WithCancel(context.Background())
				err := w.Process(ctx, records[at:at+size])
				cancel()
				at += size
				if err != nil && !killed {
					t.Fatal(err)
				}
				if killed {
					killed = false
					if rapid.Bool().Draw(t, "hand over") {
						flushQuietly(store, w)
					}
					start()
					continue
				}
				time.Sleep(time.Duration(rapid.IntRange(0, 700).Draw(t, "pause")) * time.Millisecond)
				if rapid.IntRange(0, 5).Draw(t, "flush") == 0 {
					flushQuietly(store, w)
				}
				if rapid.IntRange(0, 5).Draw(t, "crash") == 0 {
					start()
				}
			}
			if diff := cmp.Diff(plainTransitions(t, store.log, records, refused), store.transitions); diff != "" {
				t.Fatalf("transitions (-want +got):\n%s", diff)
			}
		})
	})
}

// flushQuietly hands the snapshots over while the store works. A worker that was fenced cannot.
func flushQuietly(store *memory, w *Worker) {
	fault, read := store.fault, store.readFault
	store.fault, store.readFault = nil, nil
	_ = w.Flush(context.Background())
	store.fault, store.readFault = fault, read
}

// steady returns readings of customer 1, one each five seconds from an offset on.
func steady(offset int64, rates ...int) []heartbeat.Record {
	var records []heartbeat.Record
	for i, rate := range rates {
		o := offset + int64(i)
		at := epoch.Add(time.Duration(o) * 5 * time.Second)
		event := heartbeat.Event{Customer: 1, Rate: heartbeat.BPM(rate), Time: at}
		records = append(records, heartbeat.Record{Offset: o, Timestamp: at, Value: event.AppendJSON(nil)})
	}
	return records
}

func times(rate, n int) []int { return slices.Repeat([]int{rate}, n) }

func mustProcess(t *testing.T, w *Worker, records []heartbeat.Record) {
	t.Helper()
	if err := w.Process(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

func kinds(transitions []alarm.Transition) (kinds []string) {
	for _, t := range transitions {
		kinds = append(kinds, fmt.Sprintf("%s %s", t.Condition, t.Kind))
	}
	return kinds
}

// prometheus #15175 and thanos #5219: a restart in the middle of the delay starts it over, one while active forgets the alarm.
func TestRestartNeitherDelaysNorForgetsAnAlarm(t *testing.T) {
	t.Parallel()
	records := steady(0, slices.Concat(times(80, 10), times(150, 3), times(175, 3), times(190, 20), times(150, 15))...)
	want := plainTransitions(t, "heartbeat-events", records, nil)
	if diff := cmp.Diff([]string{"rate_high raised", "rate_high cleared"}, kinds(want)); diff != "" {
		t.Fatalf("the readings do not give the case (-want +got):\n%s", diff)
	}
	raised := want[0].Offset
	for name, kill := range map[string]int64{"restart at 70 % of the delay": raised - 1, "as it is raised": raised + 1, "while active": raised + 5} {
		for _, flush := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, flushed %t", name, flush), func(t *testing.T) {
				t.Parallel()
				store := newMemory()
				w := newDetectingWorker(t, store)
				mustClaim(t, w, LogBounds{End: int64(len(records))})
				mustProcess(t, w, records[:kill])
				if flush {
					mustFlush(t, w)
				}
				w = newDetectingWorker(t, store)
				from := mustClaim(t, w, LogBounds{End: int64(len(records))})
				mustProcess(t, w, records[from:])
				if diff := cmp.Diff(want, store.transitions); diff != "" {
					t.Errorf("transitions (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// Golden traces of two owners and of one transaction: the alarms are those of one unbroken owner.
func TestAlarmsDoNotDependOnOwnersAndBatches(t *testing.T) {
	t.Parallel()
	records := steady(0, slices.Concat(
		times(80, 10), times(150, 3), times(175, 3), times(190, 20), times(150, 15), times(170, 3), times(190, 12), times(150, 15))...)
	want := plainTransitions(t, "heartbeat-events", records, nil)
	if diff := cmp.Diff([]string{"rate_high raised", "rate_high cleared", "rate_high reopened", "rate_high cleared"}, kinds(want)); diff != "" {
		t.Fatalf("the readings do not give the case (-want +got):\n%s", diff)
	}
	end := LogBounds{End: int64(len(records))}
	t.Run("batch of raise, clear and raise", func(t *testing.T) {
		t.Parallel()
		store := newMemory()
		w := newDetectingWorker(t, store)
		mustClaim(t, w, end)
		mustProcess(t, w, records)
		if diff := cmp.Diff(want, store.transitions); diff != "" {
			t.Errorf("transitions (-want +got):\n%s", diff)
		}
	})
	t.Run("rebalance in the middle", func(t *testing.T) {
		t.Parallel()
		store := newMemory()
		at, owners := int64(0), [2]*Worker{newDetectingWorker(t, store), newDetectingWorker(t, store)}
		for round := 0; at < end.End; round++ { // of the delay, the alarm, the clear band and the reopen window
			w := owners[round%2]
			from := mustClaim(t, w, end)
			at = min(at+4, end.End)
			mustProcess(t, w, records[from:at])
			if round%3 > 0 {
				mustFlush(t, w)
			}
		}
		if diff := cmp.Diff(want, store.transitions); diff != "" {
			t.Errorf("transitions (-want +got):\n%s", diff)
		}
	})
}

// Where retention ate the readings that a state lacks, the alarms in the database say what is active.
func TestLostReadingsLeaveAlarmsAsTheDatabaseHasThem(t *testing.T) {
	t.Parallel()
	store := newMemory()
	w := newDetectingWorker(t, store)
	mustClaim(t, w, LogBounds{End: 100})
	mustProcess(t, w, steady(0, slices.Concat(times(80, 10), times(150, 3), times(175, 3), times(190, 20))...))
	if diff := cmp.Diff([]string{"rate_high raised"}, kinds(store.transitions)); diff != "" {
		t.Fatalf("transitions before (-want +got):\n%s", diff)
	}
	w = newDetectingWorker(t, store)
	mustClaim(t, w, LogBounds{Start: 30, End: 100})
	mustProcess(t, w, steady(30, slices.Concat(times(190, 16), times(165, 15))...))
	if diff := cmp.Diff([]string{"rate_high raised", "rate_high cleared"}, kinds(store.transitions)); diff != "" {
		t.Errorf("transitions (-want +got):\n%s", diff)
	}
}

// Nightscout #8453: one stamp nine minutes ahead, then 195.
func TestClockAheadHidesNoAlarm(t *testing.T) {
	t.Parallel()
	records := steady(0, slices.Concat(times(150, 5), times(168, 3), times(186, 3), times(195, 12))...)
	event := heartbeat.Event{Customer: 1, Rate: 150, Time: records[3].Timestamp.Add(9 * time.Minute)}
	records[3].Value = event.AppendJSON(nil)
	store := newMemory()
	w := newDetectingWorker(t, store)
	mustClaim(t, w, LogBounds{End: 100})
	mustProcess(t, w, records)
	if diff := cmp.Diff([]string{"rate_high raised"}, kinds(store.transitions)); diff != "" {
		t.Errorf("transitions (-want +got):\n%s", diff)
	}
	mustFlush(t, w)
	if got := store.customers[1].BPM; got != 195 {
		t.Errorf("latest value %d bpm, want 195", got)
	}
}

// health-auto-export #61: a sample eleven hours late is stored once and leaves the latest value alone.
func TestLateSampleIsStoredAndNotJudged(t *testing.T) {
	t.Parallel()
	records := steady(0, times(80, 10)...)
	for i := range 6 {
		at := epoch.Add(time.Minute + time.Duration(i)*5*time.Second)
		event := heartbeat.Event{Customer: 1, Rate: 200, Time: at.Add(-11 * time.Hour)}
		records = append(records, heartbeat.Record{Offset: int64(10 + i), Timestamp: at, Value: event.AppendJSON(nil)})
	}
	store := newMemory()
	w := newDetectingWorker(t, store)
	mustClaim(t, w, LogBounds{End: 100})
	mustProcess(t, w, records)
	mustFlush(t, w)
	if len(store.transitions) > 0 || len(store.stored) != 16 || store.customers[1].BPM != 80 {
		t.Errorf("%d transitions, %d stored, latest %d bpm; want 0, 16 and 80", len(store.transitions), len(store.stored), store.customers[1].BPM)
	}
}

// ThingsBoard #10590: one reading short of the delay raises nothing.
func TestOneReadingShortOfTheDelayRaisesNothing(t *testing.T) {
	t.Parallel()
	rates := slices.Concat(times(165, 5), times(184, 20))
	all := plainTransitions(t, "heartbeat-events", steady(0, rates...), nil)
	if len(all) != 1 {
		t.Fatalf("the readings do not give the case: %v", kinds(all))
	}
	store := newMemory()
	w := newDetectingWorker(t, store)
	mustClaim(t, w, LogBounds{End: 100})
	short := slices.Concat(rates[:all[0].Offset-2], times(165, 20)) // the median of five falls at the reading that would raise
	for _, record := range steady(0, short...) {
		mustProcess(t, w, []heartbeat.Record{record})
	}
	if len(store.transitions) > 0 {
		t.Errorf("transitions: %v, want none", kinds(store.transitions))
	}
}
