package repeat

import (
	"slices"
	"testing"
	"time"

	"heartbeat/internal/heartbeat"

	"pgregory.net/rapid"
)

// reference is the rule in its plainest form: a list that is copied, searched from end to end and cut at the front.
type reference []Entry

func (r reference) take(e Entry) (reference, bool) {
	for _, held := range slices.Backward(r) {
		if held.ID == e.ID {
			if apart(held, e) < time.Hour {
				return r, true
			}
			break
		}
	}
	next := append(reference{}, r...)
	for range 2 {
		if len(next) > 0 && apart(next[0], e) >= time.Hour {
			next = next[1:]
		}
	}
	if len(next) == MaxIDs {
		next = next[1:]
	}
	return append(next, e), false
}

func apart(a, b Entry) time.Duration {
	return time.UnixMilli(a.Time).Sub(time.UnixMilli(b.Time)).Abs()
}

// entries draws ids that come again and times that mostly go forward, across the span, and sometimes far astray.
var entries = rapid.Custom(func(t *rapid.T) Entry {
	minutes := rapid.Int64Range(0, 200).Draw(t, "minutes")
	if rapid.IntRange(0, 20).Draw(t, "astray") == 0 {
		minutes += 1_000_000
	}
	return Entry{ID: heartbeat.RecordID{rapid.ByteRange(0, 30).Draw(t, "id")}, Time: minutes*60_000 + rapid.Int64Range(-1, 1).Draw(t, "milliseconds")}
})

// The window agrees with the reference over any log, however it is cut into batches that are stored, refused or repeated, and
// wherever another consumer takes over from what is stored.
func TestWindowFollowsTheRule(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var w Window
		var want reference
		var stored []Entry // of all batches
		for range rapid.IntRange(1, 30).Draw(t, "batches") {
			batch := rapid.SliceOfN(entries, 1, 40).Draw(t, "batch")
			for range rapid.IntRange(0, 2).Draw(t, "refusals") {
				for _, e := range batch[:rapid.IntRange(0, len(batch)).Draw(t, "tried")] {
					w.Take(e)
				}
				w.TakeBack()
			}
			var entered []Entry
			for i, e := range batch {
				next, repeated := want.take(e)
				if got := w.Take(e); got != repeated {
					t.Fatalf("entry %d, %v: repeated is %t, want %t; the window is %v", i, e, got, repeated, want)
				}
				if !repeated {
					entered = append(entered, e)
				}
				want = next
			}
			w.Keep()
			stored = append(stored, entered...)
			if w.Held() != len(want) {
				t.Fatalf("the window holds %d ids, want %d", w.Held(), len(want))
			}
			if rapid.Bool().Draw(t, "taken over") {
				held := w.Held()
				w = Window{}
				w.Restore(stored[len(stored)-held:])
			}
		}
	})
}

// A full window lets the oldest id go and no other, and says that it did so early.
func TestFullWindowForgetsTheOldest(t *testing.T) {
	t.Parallel()
	var w Window
	for i := range MaxIDs + 2 {
		if w.Take(numbered(i)) {
			t.Fatalf("id %d is taken for a repeat", i)
		}
		w.Keep()
	}
	if w.Held() != MaxIDs || w.Early() != 2 {
		t.Errorf("%d ids held and %d gone early, want %d and 2", w.Held(), w.Early(), MaxIDs)
	}
	for i, want := range map[int]bool{1: false, 2: true, MaxIDs + 1: true} {
		if got := w.Take(numbered(i)); got != want {
			t.Errorf("id %d again: repeated is %t, want %t", i, got, want)
		}
		w.TakeBack()
	}
}

// One record with a wrong time does not empty the window.
func TestWrongTimeForgetsTwoIDsAtMost(t *testing.T) {
	t.Parallel()
	var w Window
	for i := range 100 {
		w.Take(numbered(i))
	}
	w.Take(Entry{ID: heartbeat.RecordID{99}, Time: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()})
	w.Keep()
	if w.Held() != 99 {
		t.Errorf("%d of 101 ids are held, want 99", w.Held())
	}
}

func numbered(i int) Entry {
	return Entry{ID: heartbeat.KeyedRecordID("device", "key", i, nil), Time: 1_700_000_000_000}
}
