package detect

import (
	"bytes"
	"runtime"
	"testing"
	"unsafe"

	"heartbeat/internal/heartbeat"
)

// A million customers must fit a consumer (alarms.md §3: at most 200 bytes each, the index included). States lie in
// chunks, found through a map of small values: a map of States would hold each one twice over while it grows.
func TestStateFits(t *testing.T) {
	t.Parallel()
	// A slot of map[CustomerID]uint32 takes 8 bytes and a control byte; the map is at least 7/16 full after it grew.
	const index = 9 * 16 / 7.0
	if size := unsafe.Sizeof(State{}); float64(size)+index > 200 {
		t.Errorf("a State takes %d bytes and %.0f in the index: want at most 200", size, index)
	}
}

// Not parallel: it reads the size of the heap.
func TestMeasuredStateFits(t *testing.T) {
	const customers, chunk = 300_000, 4096
	before := heap()
	byCustomer := map[heartbeat.CustomerID]uint32{}
	var chunks [][]State
	for i := range uint32(customers) {
		if i%chunk == 0 {
			chunks = append(chunks, make([]State, chunk))
		}
		byCustomer[heartbeat.CustomerID(i+1)] = i
	}
	each := float64(heap()-before) / customers
	runtime.KeepAlive(byCustomer)
	runtime.KeepAlive(chunks)
	t.Logf("State %d bytes, %.1f with its index", unsafe.Sizeof(State{}), each)
	if each > 200 {
		t.Errorf("a customer takes %.1f bytes, want at most 200", each)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestEncodedStateIsCompact(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	var state State
	for _, r := range every(5).values(breathing(75, 80)...).readings {
		d.Step(&state, r, DefaultLimits(), nil)
	}
	if encoded, _ := state.AppendBinary(nil); len(encoded) > 64 {
		t.Errorf("a healthy customer's state takes %d bytes, want at most 64", len(encoded))
	}
}

func TestUnknownVersionIsRefused(t *testing.T) {
	t.Parallel()
	encoded, _ := new(State).AppendBinary(nil)
	encoded[0]++
	if err := new(State).UnmarshalBinary(encoded); err == nil {
		t.Error("a state of a later version was decoded")
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	d := newDetector(t)
	tr := every(5).values(breathing(75, 8)...).values(breathing(195, 8)...).values(0, 0, 0, 0, 0).values(breathing(75, 20)...)
	out := make([]Transition, 0, len(Conditions))
	allocations := testing.AllocsPerRun(100, func() {
		var state State
		for _, r := range tr.readings {
			out = d.Step(&state, r, DefaultLimits(), out[:0])
		}
	})
	if allocations != 0 {
		t.Errorf("a trace of %d readings allocates %v times, want 0", len(tr.readings), allocations)
	}
}

// BenchmarkStep lets a thousand customers take turns, as in a partition, with the lookup of their limits.
func BenchmarkStep(b *testing.B) {
	for name, rates := range map[string][]int{
		"healthy":   breathing(75, 40),
		"artefacts": alternate(44, 75, 74, 210, 76, 77, 75, 0, 74, 30, 75, 75),
		"episodes":  append(breathing(75, 20), breathing(195, 20)...),
	} {
		b.Run(name, func(b *testing.B) {
			d := newDetector(b)
			history, err := NewLimitHistory(DefaultLimits(), nil, nil)
			if err != nil {
				b.Fatal(err)
			}
			out := make([]Transition, 0, len(Conditions))
			states := make([]State, 1000)
			at, round := start, 0
			b.ReportAllocs()
			for b.Loop() {
				at += 5 * second
				rate := rates[round%len(rates)]
				round++
				r := Reading{Event: at, Kafka: at, Offset: int64(round)}
				r.Class, r.BPM = heartbeat.Classify(float64(rate))
				for i := range states {
					out = d.Step(&states[i], r, history.At(heartbeat.CustomerID(i), r.TimeUsed()), out[:0])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(states)), "ns/reading")
		})
	}
}

// A consumer of an earlier version leaves states of version 1 behind.
func TestStateOfVersion1IsRead(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	tr := every(5).values(breathing(75, 8)...).values(120, 121)
	var want State
	for _, r := range tr.readings {
		d.Step(&want, r, DefaultLimits(), nil)
	}
	want.offset, want.gap, want.gapsLearned = 0, gapStatistics{arrived: want.heard}, 0
	encoded, _ := want.AppendBinary(nil)
	encoded = encoded[:len(encoded)-5] // without offset and gaps
	encoded[0] = 1
	for i, m := range want.heldMinute[:want.heldLen] { // behind the values, of two bytes or fewer
		at := bytes.LastIndex(encoded, []byte{byte(want.held[i]), m})
		if at < 0 {
			t.Fatalf("%x does not contain the gated reading %d", encoded, want.held[i])
		}
		encoded[at+1] = m % signalMinutes
	}
	var got State
	if err := got.UnmarshalBinary(encoded); err != nil || got != want {
		t.Errorf("version 1 gives %+v, %v, want\n%+v", got, err, want)
	}
	if err := got.UnmarshalBinary([]byte{1, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}); err != nil || got.windowLen > 0 || got.heldLen > 0 {
		t.Errorf("version 1 without a good reading gives %+v, %v", got, err)
	}
}
