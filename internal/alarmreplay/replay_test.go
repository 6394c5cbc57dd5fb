package alarmreplay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is one partition and the history that a consumer stored for it.
type world struct {
	records []heartbeat.Record
	events  []alarm.Event
	dead    []int64
}

func limits(t *testing.T) *detect.LimitHistory {
	t.Helper()
	history, err := detect.NewLimitHistory(detect.DefaultLimits(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return history
}

// newWorld has three customers with a reading each five seconds, whose rates go beyond the limits again and again.
func newWorld(t *testing.T, partition int32, readings int) *world {
	t.Helper()
	w := &world{}
	detector, err := detect.New(detect.DefaultSettings(), detect.Source{Log: "log", Partition: partition})
	if err != nil {
		t.Fatal(err)
	}
	limits, states := limits(t), [3]detect.State{}
	var decoder heartbeat.Decoder
	for offset := range int64(readings) {
		customer := heartbeat.CustomerID(1 + offset%3)
		rate := []int{75, 195, 75, 30}[(offset/90+int64(customer))%4] + int(offset%5)
		at := begin.Add(time.Duration(offset/3) * 5 * time.Second)
		event := heartbeat.Event{Customer: customer, Rate: heartbeat.BPM(rate), Time: at}
		record := heartbeat.Record{Offset: offset, Timestamp: at, Value: event.AppendJSON(nil)}
		w.records = append(w.records, record)
		reading, rejection := decoder.Decode(record)
		if rejection != nil {
			t.Fatal(rejection)
		}
		input := detect.ReadingOf(&reading, at, offset)
		for _, found := range detector.Step(&states[customer-1], input, limits.At(customer, input.TimeUsed()), nil) {
			w.store(alarm.Detected(customer, &found), partition)
		}
	}
	return w
}

func (w *world) store(t alarm.Transition, partition int32) {
	w.events = append(w.events, alarm.Event{
		ID: t.EventID("log", partition), Alarm: t.Alarm, Kind: t.Kind, At: t.At, Since: t.Since, Priority: t.Priority, Measure: t.Measure,
		Subject: t.Subject, Condition: t.Condition, Position: &alarm.Position{Log: "log", Partition: partition, Offset: t.Offset},
	})
}

// clocked adds an alarm that a clock decides, at offset 7, a reading of customer 2 ten seconds after the beginning.
func (w *world) clocked(condition alarm.Condition, subject string, since time.Time) {
	at := slices.IndexFunc(w.events, func(e alarm.Event) bool { return e.Offset > 7 })
	w.events = slices.Insert(w.events, at, alarm.Event{
		ID: uuid.New(), Alarm: uuid.New(), Kind: alarm.Raised, At: since.Add(time.Minute), Since: since, Priority: alarm.Low,
		Subject: subject, Condition: condition, Position: &alarm.Position{Log: "log", Offset: 7},
	})
}

// replay steps the partition from a record on.
func (w *world) replay(t *testing.T, r *Replay, partition int32, from int) {
	t.Helper()
	log := Log{Label: "log", Partition: partition, Complete: from == 0, Dead: w.dead}
	events := slices.Clone(w.events)
	for len(events) > 0 && events[0].Offset < int64(from) {
		log.Before = append(log.Before, events[0])
		events = events[1:]
	}
	log.Next = func() (e alarm.Event, more bool) {
		if len(events) == 0 {
			return e, false
		}
		e, events = events[0], events[1:]
		return e, true
	}
	p, err := r.Begin(log)
	if err != nil {
		t.Fatal(err)
	}
	for i := range w.records[from:] {
		p.Step(&w.records[from+i])
	}
	p.End()
}

func TestDifferencesAreNamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*world)
		want   []string
	}{
		"none": {func(*world) {}, nil},
		"an event is missing": {func(w *world) { w.events = slices.Delete(w.events, 3, 4) },
			[]string{"the replay says rate_", "which is not stored"}},
		"an event is invented": {func(w *world) {
			extra := w.events[3]
			extra.ID, extra.Position = uuid.New(), &alarm.Position{Log: "log", Offset: extra.Offset + 1}
			w.events = slices.Insert(w.events, 4, extra)
		}, []string{"stored is rate_", "which the replay does not give"}},
		"an event behind the last record": {func(w *world) {
			extra := w.events[3]
			extra.Position = &alarm.Position{Log: "log", Offset: 5000}
			w.events = append(w.events, extra)
		}, []string{"which the replay does not give"}},
		"a silence after a reading": {func(w *world) { w.clocked(alarm.Silent, "CUST_00002", begin.Add(10*time.Second)) }, nil},
		"a silence that does not begin at its reading": {func(w *world) { w.clocked(alarm.Silent, "CUST_00002", begin.Add(15*time.Second)) },
			[]string{"the replay has the customer heard at 2026-03-01T12:00:10Z"}},
		"a silence of another customer": {func(w *world) { w.clocked(alarm.Silent, "CUST_00003", begin.Add(10*time.Second)) },
			[]string{"the replay has the customer heard at"}},
		"an outage": {func(w *world) { w.clocked(alarm.Outage, "heartbeat-events", begin) }, nil},
		"a value":   {func(w *world) { w.events[3].Value++ }, []string{"the replay says", "stored is"}},
		"a time":    {func(w *world) { w.events[3].At = w.events[3].At.Add(time.Microsecond) }, []string{"12:03:10.000001Z"}},
		"an id":     {func(w *world) { w.events[0].Alarm = uuid.New() }, []string{"the replay says rate_high of CUST_00001 raised", "stored is"}},
		"the detector's kind": {func(w *world) { w.events[3].ID = uuid.New() },
			[]string{"the replay says", "stored is"}},
		"a reading was refused by the database": {func(w *world) { w.dead = []int64{w.events[0].Offset} },
			[]string{"which the replay does not give"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0, 1200)
			if len(w.events) < 12 {
				t.Fatalf("%d events, want 12 at least", len(w.events))
			}
			test.change(w)
			r := New(detect.DefaultSettings(), limits(t))
			w.replay(t, r, 0, 0)
			found, _ := r.Differences()
			if test.want == nil && len(found) > 0 || test.want != nil && len(found) == 0 {
				t.Fatalf("differences %v, want %q", found, test.want)
			}
			for _, part := range test.want {
				if text := fmt.Sprint(found); !strings.Contains(text, part) {
					t.Errorf("differences %s do not contain %q", text, part)
				}
			}
			if all, undecided := r.Customers(); all != 3 || undecided != 0 || r.Readings != 1200-int64(len(w.dead)) {
				t.Errorf("%d customers, %d undecided, %d readings", all, undecided, r.Readings)
			}
		})
	}
}

// Wherever the retained log begins, what is stored is what the replay gives, and what is wrong long after the start is found.
func TestLogWithoutItsStartIsReplayed(t *testing.T) {
	t.Parallel()
	for from := 1; from < 1200; from += 37 {
		w := newWorld(t, 0, 3000)
		r := New(detect.DefaultSettings(), limits(t))
		w.replay(t, r, 0, from)
		if found, _ := r.Differences(); len(found) > 0 {
			t.Fatalf("from %d: %v", from, found)
		}
		if r.Transitions == 0 {
			t.Fatalf("from %d: nothing was compared", from)
		}
		last := len(w.events) - 1
		w.events[last].Peak++
		r = New(detect.DefaultSettings(), limits(t))
		w.replay(t, r, 0, from)
		if found, _ := r.Differences(); len(found) != 1 {
			t.Fatalf("from %d, a wrong event: %v, want one difference", from, found)
		}
	}
}

// No log says in which order the readings of two partitions were evaluated.
func TestCustomersInTwoPartitionsAreLeftOut(t *testing.T) {
	t.Parallel()
	first, second := newWorld(t, 0, 600), newWorld(t, 1, 600)
	second.events = second.events[1:]
	r := New(detect.DefaultSettings(), limits(t))
	first.replay(t, r, 0, 0)
	second.replay(t, r, 1, 0)
	found, _ := r.Differences()
	if all, undecided := r.Customers(); len(found) > 0 || all != 3 || undecided != 3 {
		t.Errorf("differences %v, %d of %d customers undecided", found, undecided, all)
	}
}

// Where a consumer ran without detection for a while, the stretch of the log is named beside its differences.
func TestStretchWithoutDetectionIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, 3000)
	missing := w.events[5:12]
	from, to := missing[0].Offset, missing[len(missing)-1].Offset
	w.events = slices.Delete(slices.Clone(w.events), 5, 12)
	w.events = slices.Delete(w.events, 8, 9) // a single one is no gap
	r := New(detect.DefaultSettings(), limits(t))
	w.replay(t, r, 0, 0)
	if found, _ := r.Differences(); len(found) != 8 {
		t.Errorf("%d differences, want 8: %v", len(found), found)
	}
	if want := []Gap{{Log: "log", From: from, To: to, Transitions: 7}}; !slices.Equal(r.Gaps(), want) {
		t.Errorf("gaps %v, want %v", r.Gaps(), want)
	}
}
