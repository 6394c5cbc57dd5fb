package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"heartbeat/internal/alarm"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/repeat"
)

var epoch = time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC)

// memory is a store with the rules of the real one, and faults on demand.
type memory struct {
	fence     int64
	next      int64
	stateFrom int64
	epoch     int32
	claimed   bool
	log       string

	stored    map[int64]string // by offset: the class or the reason
	customers map[heartbeat.CustomerID]CustomerState
	snapshots []Stats
	incidents []Incident

	states      map[heartbeat.CustomerID]DetectorState
	transitions []alarm.Transition
	silent      map[heartbeat.CustomerID]bool
	fleet       *fleetAlarms
	storedAt    time.Time
	elsewhere   func(heartbeat.CustomerID) bool // nil: none

	entered []repeat.Entry // of all batches
	held    int
	dropped map[int64]bool

	fault     func(batch *Batch) (apply bool, err error) // nil: none
	readFault func() error                               // nil: none
}

func newMemory() *memory {
	return &memory{log: "heartbeat-events", epoch: -1, stored: map[int64]string{}, customers: map[heartbeat.CustomerID]CustomerState{}, states: map[heartbeat.CustomerID]DetectorState{}, silent: map[heartbeat.CustomerID]bool{}, dropped: map[int64]bool{}, fleet: newFleetAlarms()}
}

func (m *memory) Claim(_ context.Context, p Partition, start int64) (Claim, error) {
	if !m.claimed {
		m.claimed, m.next, m.stateFrom = true, start, start
	}
	m.fence++
	return Claim{Partition: p, Log: m.log, Fence: m.fence, Next: m.next, Epoch: m.epoch, StateFrom: m.stateFrom, Idle: m.idle()}, nil
}

func (m *memory) Position(_ context.Context, c Claim) (int64, error) {
	if c.Fence != m.fence {
		return 0, &Fault{Fenced, errors.New("fence raised")}
	}
	return m.next, nil
}

func (m *memory) RepeatWindow(context.Context, Claim) ([]repeat.Entry, error) {
	return slices.Clone(m.entered[len(m.entered)-m.held:]), nil
}

func (m *memory) Repeated(context.Context, Claim, int64, int64) (map[int64]bool, error) {
	return m.dropped, nil
}

func (m *memory) Write(_ context.Context, c Claim, b *Batch) error {
	if m.fault == nil {
		return m.write(c, b)
	}
	apply, err := m.fault(b)
	if apply {
		if err := m.write(c, b); err != nil {
			return err
		}
	}
	return err
}

func (m *memory) write(c Claim, b *Batch) error {
	if c.Fence != m.fence || b.From != m.next {
		return &Fault{Stale, errors.New("no such progress")}
	}
	for _, r := range b.Readings {
		m.put(r.Offset, r.Class.String())
	}
	for _, d := range b.DeadLetters {
		m.put(d.Offset, string(d.Reason))
	}
	for _, offset := range b.Repeats.Dropped {
		m.put(offset, "repeated")
		m.dropped[offset] = true
	}
	if len(b.Repeats.Entered) > 0 {
		m.entered, m.held = append(m.entered, b.Repeats.Entered...), b.Repeats.Held
	}
	if got := int64(len(b.Readings)+len(b.DeadLetters)) + b.Skipped; got != b.To-b.From {
		panic(fmt.Sprintf("batch [%d,%d) accounts for %d offsets", b.From, b.To, got))
	}
	for _, state := range b.Customers {
		m.customers[state.Customer] = state
	}
	for i, state := range b.States {
		m.states[b.Customers[i].Customer] = DetectorState{Customer: b.Customers[i].Customer, Encoded: slices.Clone(state), AsOf: b.From}
	}
	m.takeSilence(b)
	if b.Snapshot != nil {
		m.snapshots = append(m.snapshots, *b.Snapshot)
	}
	m.next, m.epoch, m.stateFrom = b.To, b.Epoch, b.StateFrom
	return nil
}

func (m *memory) put(offset int64, what string) {
	if was, ok := m.stored[offset]; ok {
		panic(fmt.Sprintf("offset %d stored twice: %s, %s", offset, was, what))
	}
	m.stored[offset] = what
}

func (m *memory) Record(_ context.Context, c Claim, i Incident) (Claim, error) {
	m.incidents = append(m.incidents, i)
	if i.Kind == LogTruncated {
		m.log += "#2"
		m.stored, m.dropped, m.entered, m.held = map[int64]string{}, map[int64]bool{}, nil, 0
	}
	m.next, m.stateFrom = i.To, i.To
	c.Next, c.StateFrom, c.Log = i.To, i.To, m.log
	return c, nil
}

func newTestWorker(store Store, out *bytes.Buffer) *Worker {
	logger := slog.New(slog.DiscardHandler)
	if out != nil {
		logger = slog.New(slog.NewTextHandler(out, nil))
	}
	return NewWorker(Options{
		Partition: Partition{Topic: "heartbeat-events", Number: 1},
		Store:     store,
		Meter:     NewMeter(logger, prometheus.NewRegistry()),
		Logger:    logger,
	})
}

func record(offset int64, customer heartbeat.CustomerID, bpm int) heartbeat.Record {
	event := heartbeat.Event{Customer: customer, Rate: heartbeat.BPM(bpm), Time: epoch.Add(time.Duration(offset) * time.Second)}
	return heartbeat.Record{Offset: offset, Timestamp: event.Time, Value: event.AppendJSON(nil)}
}

// mustClaim claims a partition of which the broker retains the given offsets, and returns the one to fetch from.
func mustClaim(t interface{ Fatal(...any) }, w *Worker, log LogBounds) int64 {
	if _, err := w.Claim(context.Background(), log.Start); err != nil {
		t.Fatal(err)
	}
	from, err := w.Reconcile(context.Background(), log)
	if err != nil {
		t.Fatal(err)
	}
	return from
}

func TestProcessAccountsForEveryOffset(t *testing.T) {
	t.Parallel()
	store := newMemory()
	w := newTestWorker(store, nil)
	mustClaim(t, w, LogBounds{End: 100})
	marker := heartbeat.Record{Offset: 3, Timestamp: epoch, Control: true}
	broken := heartbeat.Record{Offset: 2, Timestamp: epoch, Value: []byte("{")}
	records := []heartbeat.Record{record(0, 1, 75), record(1, 2, 39), broken, marker, record(6, 3, 181), record(7, 4, 0)}
	if err := w.Process(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	want := map[int64]string{0: "NORMAL", 1: "BRADYCARDIA", 2: "not_json", 6: "TACHYCARDIA", 7: "INVALID"}
	if diff := cmp.Diff(want, store.stored); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if store.next != 8 {
		t.Errorf("next offset %d, want 8", store.next)
	}
	if err := w.Process(t.Context(), records); err != nil {
		t.Errorf("delivered again: %v", err)
	}
}

// bubbled hides the test's deadline from rapid, which must not ask for it where time is synthetic.
type bubbled struct{ rapid.TB }

// Whatever the store does, every record ends stored exactly once, and only what it truly refuses becomes a dead letter.
func TestProcessSurvivesAnyFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubbled{t}, func(t *rapid.T) {
			store := newMemory()
			count := rapid.IntRange(1, 60).Draw(t, "records")
			refused := map[int64]bool{}
			for _, offset := range rapid.SliceOfN(rapid.Int64Range(0, int64(count)-1), 0, 4).Draw(t, "refused") {
				refused[offset] = true
			}
			store.fault = func(b *Batch) (bool, error) {
				for _, r := range b.Readings {
					if refused[r.Offset] {
						return false, &Fault{BadData, errors.New("value out of range")}
					}
				}
				switch rapid.IntRange(0, 7).Draw(t, "fault") {
				case 0:
					return false, &Fault{Transient, errors.New("connection refused")}
				case 1:
					return false, &Fault{OutcomeUnknown, errors.New("connection reset at commit")}
				case 2:
					return true, &Fault{OutcomeUnknown, errors.New("connection reset after commit")}
				case 3:
					return false, errors.New("permission denied")
				}
				return true, nil
			}
			w := newTestWorker(store, nil)
			mustClaim(t, w, LogBounds{End: int64(count)})
			for offset := int64(0); offset < int64(count); {
				size := min(rapid.Int64Range(1, 20).Draw(t, "size"), int64(count)-offset)
				var records []heartbeat.Record
				for i := range size {
					records = append(records, record(offset+i, heartbeat.CustomerID(offset+i), 75))
				}
				if err := w.Process(context.Background(), records); err != nil {
					t.Fatal(err)
				}
				offset += size
			}
			for offset := range int64(count) {
				want := "NORMAL"
				if refused[offset] {
					want = "rejected_by_database"
				}
				if store.stored[offset] != want {
					t.Fatalf("offset %d stored as %q, want %q", offset, store.stored[offset], want)
				}
			}
			if got := w.meter.Stats().processed(); got != int64(count) {
				t.Fatalf("counted %d, want %d", got, count)
			}
		})
	})
}

func TestZombieCannotWrite(t *testing.T) {
	t.Parallel()
	store := newMemory()
	log := LogBounds{End: 100}
	zombie, owner := newTestWorker(store, nil), newTestWorker(store, nil)
	mustClaim(t, zombie, log)
	mustClaim(t, owner, log)
	if err := zombie.Process(t.Context(), []heartbeat.Record{record(0, 1, 75)}); KindOf(err) != Fenced {
		t.Errorf("zombie's write ended with %v, want kind Fenced", err)
	}
	if err := owner.Process(t.Context(), []heartbeat.Record{record(0, 1, 75)}); err != nil {
		t.Errorf("owner's write: %v", err)
	}
}

func TestClaimRecordsWhatKafkaLost(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		log  LogBounds
		want []Incident
		from int64
	}{
		"nothing lost":                {LogBounds{0, 80}, nil, 50},
		"retention passed":            {LogBounds{70, 80}, []Incident{{Kind: RetentionPassed, From: 50, To: 70}}, 70},
		"log ends before us":          {LogBounds{0, 30}, []Incident{{Kind: LogTruncated, From: 50, To: 30}}, 30},
		"diverged below what is left": {LogBounds{45, 40}, []Incident{{Kind: LogTruncated, From: 50, To: 45}}, 45},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newMemory()
			store.claimed, store.next, store.stateFrom, store.epoch = true, 50, 50, 3
			w := newTestWorker(store, nil)
			if from := mustClaim(t, w, test.log); from != test.from {
				t.Errorf("fetch from %d, want %d", from, test.from)
			}
			for i := range store.incidents {
				store.incidents[i].Detail = ""
			}
			if diff := cmp.Diff(test.want, store.incidents); diff != "" {
				t.Errorf("incidents (-want +got):\n%s", diff)
			}
		})
	}
}

func mustFlush(t rapid.TB, w *Worker) {
	t.Helper()
	if err := w.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// A crash loses the states that waited for a flush; the next owner reads that stretch of the log again for them.
func TestCustomerStatesSurviveACrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubbled{t}, func(t *rapid.T) {
			store := newMemory()
			log := LogBounds{End: 200}
			var all []heartbeat.Record
			for offset := range int64(rapid.IntRange(1, 60).Draw(t, "records")) {
				all = append(all, record(offset, heartbeat.CustomerID(rapid.IntRange(0, 5).Draw(t, "customer")), 60+int(offset)))
			}
			w := newTestWorker(store, nil)
			at := mustClaim(t, w, log)
			for at < int64(len(all)) {
				size := min(rapid.Int64Range(1, 10).Draw(t, "size"), int64(len(all))-at)
				if err := w.Process(context.Background(), all[at:at+size]); err != nil {
					t.Fatal(err)
				}
				at += size
				time.Sleep(time.Duration(rapid.IntRange(0, 700).Draw(t, "pause")) * time.Millisecond)
				if rapid.IntRange(0, 4).Draw(t, "flush") == 0 { // also in the middle of a replay
					mustFlush(t, w)
				}
				if rapid.IntRange(0, 3).Draw(t, "crash") == 0 {
					w = newTestWorker(store, nil)
					at = mustClaim(t, w, log)
				}
			}
			mustFlush(t, w)
			want := newCustomers()
			want.replay(build(&heartbeat.Decoder{}, nil, Claim{}, all, nil).Readings, time.Now())
			if diff := cmp.Diff(want.latest, store.customers); diff != "" {
				t.Fatalf("customer states (-want +got):\n%s", diff)
			}
		})
	})
}

func TestSnapshotsEveryHundredMessagesButNotMoreThanOneASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		w := newTestWorker(store, nil)
		mustClaim(t, w, LogBounds{End: 1000})
		offset := int64(0)
		send := func(count int64, then time.Duration) {
			var records []heartbeat.Record
			for range count {
				records = append(records, record(offset, 1, 75))
				offset++
			}
			if err := w.Process(t.Context(), records); err != nil {
				t.Fatal(err)
			}
			time.Sleep(then)
		}
		send(150, time.Second)    // too soon after the start
		send(1, time.Second)      // a hundred and a second have passed: 151
		send(99, 2*time.Second)   // not a hundred yet
		send(1, time.Second)      // 251
		send(5, 11*time.Second)   // not a hundred, not ten seconds
		send(1, time.Millisecond) // 257 after ten seconds
		send(500, time.Second)    // too soon
		var got []int64
		for _, s := range store.snapshots {
			got = append(got, s.Valid)
		}
		if diff := cmp.Diff([]int64{151, 251, 257}, got); diff != "" {
			t.Errorf("snapshots (-want +got):\n%s", diff)
		}
	})
}

func TestAlertBannersAreSummedUpWhenTheyComeTooFast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		w := newTestWorker(newMemory(), &out)
		mustClaim(t, w, LogBounds{End: 100})
		records := []heartbeat.Record{record(0, 42, 35), record(1, 43, 200)}
		for offset := int64(2); offset < 9; offset++ {
			records = append(records, record(offset, 44, 400-int(offset)*50)) // 300, 250, 200, 150, 100, 50, 0
		}
		if err := w.Process(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		if err := w.Process(t.Context(), []heartbeat.Record{record(9, 45, 30), record(10, 46, 500)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(summaryEvery)
		if err := w.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.Process(t.Context(), []heartbeat.Record{record(11, 47, 20)}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"*** ANOMALY ALERT ***", bannerRule, "CUST_00042", "35 bpm", "LOW — heart rate dangerously slow",
			"HIGH — heart rate dangerously fast", "TACHYCARDIA alert number 1 since start-up",
			"*** 3 MORE ANOMALY ALERTS *** BRADYCARDIA=1 INVALID=2", "BRADYCARDIA alert number 3 since start-up",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("log lacks %q:\n%s", want, out.String())
			}
		}
		if got := strings.Count(out.String(), "*** ANOMALY ALERT ***"); got != bannerBurst+1 {
			t.Errorf("%d banners, want %d", got, bannerBurst+1)
		}
	})
}
