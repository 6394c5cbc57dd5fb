package detect

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"heartbeat/internal/heartbeat"
)

var testSource = Source{Log: "heartbeat-events", Partition: 1}

func newDetector(t testing.TB) *Detector {
	t.Helper()
	d, err := New(DefaultSettings(), testSource)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// script draws readings that visit every rule: levels around both limits, steps, artefacts, gaps, late and early clocks.
type script struct {
	rt     *rapid.T
	now    Time
	offset int64
	gap    Time
	level  int
	limits Limits
}

func newScript(rt *rapid.T) *script {
	return &script{rt: rt, now: 1_790_000_000 * second, gap: drawGap(rt), level: 75, limits: DefaultLimits()}
}

func drawGap(rt *rapid.T) Time {
	return rapid.SampledFrom([]Time{1, 5, 10, 30, 60, 65, 66, 67, 90, 300, 5000}).Draw(rt, "interval") * second
}

func (s *script) next() (Reading, Limits) {
	s.offset += rapid.Int64Range(1, 3).Draw(s.rt, "offsets")
	if rapid.IntRange(0, 24).Draw(s.rt, "change") == 0 {
		s.gap = drawGap(s.rt)
	}
	if rapid.IntRange(0, 9).Draw(s.rt, "move") == 0 {
		s.level = rapid.SampledFrom([]int{75, 75, 37, 40, 43, 60, 120, 174, 178, 183, 195, 210}).Draw(s.rt, "level")
	}
	if rapid.IntRange(0, 60).Draw(s.rt, "limit") == 0 {
		s.limits = Limits{
			Low:  heartbeat.BPM(rapid.IntRange(25, 60).Draw(s.rt, "low")),
			High: heartbeat.BPM(rapid.IntRange(100, 230).Draw(s.rt, "high")),
		}
	}
	s.now += s.gap
	if rapid.IntRange(0, 5).Draw(s.rt, "jitter") == 0 {
		s.now += Time(rapid.Int64Range(-int64(s.gap)-10, int64(s.gap)*4).Draw(s.rt, "by"))
	}
	r := Reading{Event: s.now - 20_000, Kafka: s.now, Offset: s.offset}
	rate := s.level + rapid.IntRange(-4, 4).Draw(s.rt, "noise")
	switch rapid.IntRange(0, 29).Draw(s.rt, "kind") {
	case 0:
		rate = rapid.SampledFrom([]int{-1, 0, 301, 400, 1 << 20}).Draw(s.rt, "fault")
	case 1, 2:
		rate = rapid.IntRange(15, 39).Draw(s.rt, "low artefact")
	case 3, 4:
		rate = rapid.IntRange(181, 220).Draw(s.rt, "high artefact")
	case 5:
		r.Event = s.now - Time(rapid.Int64Range(119, 4000).Draw(s.rt, "late"))*second
	case 6:
		r.Event = s.now + 540*second
	case 7:
		r.Kafka = UnknownTime
		r.Event += Time(rapid.SampledFrom([]int64{0, 0, 540, 900, 86_400}).Draw(s.rt, "ahead")) * second
	case 8:
		r.NoContact = true
	case 9, 10, 11:
		rate = s.level // equal values, for the stuck rule
	}
	r.Class, r.BPM = heartbeat.Classify(float64(rate))
	return r, s.limits
}

// roundTrip sends a state through its encoded form.
func roundTrip(t interface {
	Helper()
	Fatalf(string, ...any)
}, s State) State {
	t.Helper()
	encoded, _ := s.AppendBinary(nil)
	var decoded State
	if err := decoded.UnmarshalBinary(encoded); err != nil {
		t.Fatalf("decode %x: %v", encoded, err)
	}
	if decoded != s {
		t.Fatalf("encode and decode changed the state:\n%+v\n%+v", s, decoded)
	}
	return decoded
}

func TestStepAgreesWithPlainReference(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := newScript(rt)
		plain := &reference{settings: DefaultSettings(), source: testSource}
		var state State
		for range rapid.IntRange(1, 200).Draw(rt, "readings") {
			reading, limits := s.next()
			got := d.Step(&state, reading, limits, nil)
			want := plain.step(reading, limits)
			if diff := cmp.Diff(want, got, cmp.Transformer("nil", func(ts []Transition) []Transition { return append([]Transition{}, ts...) })); len(want)+len(got) > 0 && diff != "" {
				rt.Fatalf("reading %+v, limits %v (-reference +Step):\n%s", reading, limits, diff)
			}
			if state.Heard() != plain.heard {
				rt.Fatalf("heard %d, reference %d", state.Heard(), plain.heard)
			}
			if rapid.IntRange(0, 7).Draw(rt, "restart") == 0 {
				state = roundTrip(rt, state)
			}
		}
	})
}

func TestOpeningAndClearAlternate(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := newScript(rt)
		var state State
		open := map[Condition]Transition{}
		closed := map[Condition]Transition{}
		for range rapid.IntRange(1, 300).Draw(rt, "readings") {
			reading, limits := s.next()
			if state.clockWasAhead(reading) {
				for c, last := range closed {
					last.At = min(last.At, reading.Kafka)
					closed[c] = last
					if episode, _ := state.Episode(c); episode.Cleared == 0 {
						delete(closed, c) // forgotten in the time ahead
					}
				}
			}
			for _, now := range d.Step(&state, reading, limits, nil) {
				if err := follow(open, closed, now); err != nil {
					rt.Fatal(err)
				}
			}
			for _, c := range Conditions {
				episode, _ := state.Episode(c)
				if want, active := open[c]; active != episode.Active || active && episode.Priority != want.Priority {
					rt.Fatalf("%v: state has %+v, transitions have %+v", c, episode, want)
				}
			}
		}
	})
}

// follow checks one transition against those before it.
func follow(open, closed map[Condition]Transition, now Transition) error {
	before, active := open[now.Condition]
	last, known := closed[now.Condition]
	recent := known && now.At/second-last.At/second <= 600
	switch {
	case now.Kind.Opens() && active:
		return fmt.Errorf("%v opened twice: %+v after %+v", now.Condition, now, before)
	case !now.Kind.Opens() && !active:
		return fmt.Errorf("%v of an alarm that is not open: %+v", now.Kind, now)
	case now.Kind == Worsen && (before.Priority != Low || now.Priority != High):
		return fmt.Errorf("worsened from %v to %v", before.Priority, now.Priority)
	case now.Kind == Clear && now.Priority != before.Priority:
		return fmt.Errorf("cleared %v, was %v", now.Priority, before.Priority)
	case now.Kind == Reopen && !recent, now.Kind == Raise && recent:
		return fmt.Errorf("%v at %d, last cleared %+v", now.Kind, now.At, last)
	case now.Kind.Opens() && now.Alarm != testSource.AlarmID(now.Offset, now.Condition), !now.Kind.Opens() && now.Alarm != AlarmID{}:
		return fmt.Errorf("alarm %v is not that of offset %d", now.Alarm, now.Offset)
	}
	if now.Kind == Clear {
		closed[now.Condition] = now
		delete(open, now.Condition)
	} else {
		open[now.Condition] = now
	}
	return nil
}

func TestLateReadingIsOnlyASignOfLife(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := newScript(rt)
		var state State
		for range rapid.IntRange(0, 60).Draw(rt, "readings") {
			reading, limits := s.next()
			d.Step(&state, reading, limits, nil)
		}
		late := Reading{Kafka: s.now + 10*minute, Offset: s.offset + 1, BPM: heartbeat.BPM(rapid.IntRange(-1, 300).Draw(rt, "rate"))}
		if rapid.Bool().Draw(rt, "old") {
			late.Event = late.Kafka - lateAfter - 1
		} else {
			late.Event = state.Last() - Time(rapid.Int64Range(0, int64(state.Last())).Draw(rt, "before"))
		}
		late.Class, late.BPM = heartbeat.Classify(float64(late.BPM))
		state.noKafkaTime = false // else the arrival may show that the clock was ahead
		want := state
		want.hear(late)
		if got := d.Step(&state, late, s.limits, nil); len(got) > 0 || state != want {
			rt.Fatalf("late reading %+v gave %+v, state\n%+v, want\n%+v", late, got, state, want)
		}
	})
}

// FuzzStep steps arbitrary bytes as readings, through an encoded state each time.
func FuzzStep(f *testing.F) {
	d := newDetector(f)
	f.Add([]byte{5, 75, 5, 200, 5, 200, 5, 200, 5, 200, 5, 200, 5, 200, 60, 75})
	f.Fuzz(func(t *testing.T, script []byte) {
		plain := &reference{settings: DefaultSettings(), source: testSource}
		var state State
		now := 1_790_000_000 * Time(second)
		for i := 0; i+1 < min(len(script), 400); i += 2 {
			now += Time(script[i]) * 700 * millisecond
			r := Reading{Event: now, Kafka: now, Offset: int64(i)}
			r.Class, r.BPM = heartbeat.Classify(float64(int(script[i+1])*5/4 - 5))
			got, want := d.Step(&state, r, DefaultLimits(), nil), plain.step(r, DefaultLimits())
			if len(got) != len(want) || len(got) > 0 && cmp.Diff(want, got) != "" {
				t.Fatalf("reading %+v (-reference +Step):\n%s", r, cmp.Diff(want, got))
			}
			state = roundTrip(t, state)
		}
	})
}

// FuzzDecodeState: whatever decodes is a state that can be stepped and encoded again.
func FuzzDecodeState(f *testing.F) {
	d := newDetector(f)
	var state State
	now := TimeOf(time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC))
	for i := range Time(12) {
		encoded, _ := state.AppendBinary(nil)
		f.Add(encoded)
		d.Step(&state, Reading{Event: now + i*90*second, Kafka: now + i*90*second, BPM: 195, Class: heartbeat.Tachycardia}, DefaultLimits(), nil)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var state State
		if state.UnmarshalBinary(data) != nil {
			if state != (State{}) {
				t.Fatal("a failed decode changed the state")
			}
			return
		}
		again := roundTrip(t, state)
		if state.Last() < lastTime-minute {
			d.Step(&again, Reading{Event: state.Last() + second, Kafka: state.Last() + second, BPM: 75}, DefaultLimits(), nil)
			roundTrip(t, again)
		}
	})
}
