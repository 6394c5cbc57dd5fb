// Package repeat finds records of one partition that carry the reading of an earlier one: a device that got no answer has sent it
// again.
//
// It looks at ids, Kafka timestamps and the order of the log alone, never at a clock, so that a replay drops the same records. It
// refuses to do I/O and to judge what a record contains.
//
// A Window belongs to one goroutine. On the path of a reading it stands between the Kafka partition and the decoder: the worker, the
// replay of `verify` and the live view use the same one.
package repeat

import (
	"time"

	"heartbeat/internal/heartbeat"
)

const (
	// Span is how far apart in Kafka's time two records with one id may lie and still be one reading.
	Span = time.Hour
	// MaxIDs is how many ids a window holds. Beyond it the oldest leaves, so that a flood of ids costs no more memory.
	MaxIDs = 1 << 20

	span = int64(Span / time.Millisecond)
	// leaving is how many outdated ids may leave for one that enters: more than one, so that the window shrinks, and few, so that a
	// single record with a wrong time cannot empty the window.
	leaving = 2
)

// Entry is an id in the window.
type Entry struct {
	ID   heartbeat.RecordID
	Time int64 // the record's Kafka timestamp, Unix milliseconds
}

// EntryOf returns the entry of a record that carries an id.
func EntryOf(record *heartbeat.Record) Entry {
	return Entry{ID: *record.ID, Time: record.Timestamp.UnixMilli()}
}

// Window holds the ids of a partition's latest records, one of each reading. What enters is provisional until Keep, and TakeBack
// removes it: a batch that is not stored has changed nothing. The zero value is an empty window.
type Window struct {
	ring  []Entry // by position modulo its length, which is a power of two
	index map[heartbeat.RecordID]uint32

	// Positions count up and wrap. The window is [first, next), of which [keptFirst, keptNext) is what Keep kept last.
	first, next         uint32
	keptFirst, keptNext uint32
	replaced            []replacement // by provisional entries, in order
	early, keptEarly    int64
}

// replacement is the position that an id had before it entered again.
type replacement struct{ at, was uint32 }

// Take reports whether an entry repeats the latest one of its id in the window. If not, it enters.
func (w *Window) Take(e Entry) (repeated bool) {
	was, known := w.index[e.ID]
	if known && was-w.first < w.next-w.first && near(w.at(was).Time, e.Time) {
		return true
	}
	w.leave(e.Time)
	w.enter(e)
	if known {
		w.replaced = append(w.replaced, replacement{w.next - 1, was})
	}
	return false
}

func near(a, b int64) bool { return a-b < span && b-a < span }

func (w *Window) at(position uint32) *Entry { return &w.ring[position&uint32(len(w.ring)-1)] }

// leave moves the beginning of the window past ids that are too far in time from one that enters.
func (w *Window) leave(at int64) {
	for range leaving {
		if w.first == w.next || near(w.at(w.first).Time, at) {
			break
		}
		w.first++
	}
	if w.Held() == MaxIDs {
		w.first++
		w.early++
	}
}

func (w *Window) enter(e Entry) {
	if int(w.next-w.keptFirst) == len(w.ring) {
		w.grow()
	}
	*w.at(w.next) = e
	w.index[e.ID] = w.next
	w.next++
}

func (w *Window) grow() {
	larger := Window{ring: make([]Entry, max(2*len(w.ring), 64))}
	for p := w.keptFirst; p != w.next; p++ {
		*larger.at(p) = *w.at(p)
	}
	w.ring = larger.ring
	if w.index == nil {
		w.index = map[heartbeat.RecordID]uint32{}
	}
}

// Held returns how many ids the window holds.
func (w *Window) Held() int { return int(w.next - w.first) }

// Early returns how many ids have left because the window was full, before Span had passed.
func (w *Window) Early() int64 { return w.keptEarly }

// Keep makes what has entered and left final.
func (w *Window) Keep() {
	for ; w.keptFirst != w.first; w.keptFirst++ {
		if id := w.at(w.keptFirst).ID; w.index[id] == w.keptFirst {
			delete(w.index, id)
		}
	}
	w.keptNext, w.keptEarly, w.replaced = w.next, w.early, w.replaced[:0]
}

// TakeBack makes the window what the last Keep kept.
func (w *Window) TakeBack() {
	for w.next != w.keptNext {
		w.next--
		id := w.at(w.next).ID
		if last := len(w.replaced) - 1; last >= 0 && w.replaced[last].at == w.next {
			w.index[id], w.replaced = w.replaced[last].was, w.replaced[:last]
		} else {
			delete(w.index, id)
		}
	}
	w.first, w.early = w.keptFirst, w.keptEarly
}

// Restore makes the window that of the given entries, in the order in which they entered.
func (w *Window) Restore(entries []Entry) {
	*w = Window{}
	for _, e := range entries {
		w.enter(e)
	}
	w.Keep()
}
