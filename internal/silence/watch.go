package silence

import (
	"slices"
	"time"
)

const (
	// heardWithin is how recently a customer was heard to count in the fleet. Source: alarms.md §2.
	heardWithin = 15 * time.Minute
	// turnedWithin is how close together customers must turn silent to be an outage. Source: alarms.md §2.
	turnedWithin = time.Minute
	// hold is how long after its limit a customer is found silent: in that time an outage shows, which holds personal alarms back. A
	// customer is found within its limit and 5 s, and Look is called once a second. Own choice.
	hold = 3 * time.Second
)

// Watch holds when each customer of a partition was heard, by slot: the caller's dense numbers of customers.
type Watch struct {
	Clock
	entries  []entry
	released time.Duration // lit time at which an outage held customers back last
}

// entry takes 16 bytes: there may be a million.
type entry struct {
	heard int64  // lit time, ns
	limit uint32 // ms, 0: no limit is known
	phase Phase

	checked bool // since it turned silent: its readings do not come from elsewhere
	gone    bool // it fell silent before the claim, so it is no part of an outage that begins now
}

// Phase is what is known of a customer.
type Phase uint8

// The phases.
const (
	Heard  Phase = iota
	Silent       // its alarm is raised
	Held         // silent, and an outage holds the alarm back
)

// Add begins to watch the customer of the next slot.
func (w *Watch) Add(limit time.Duration, phase Phase) {
	w.entries = append(w.entries, entry{})
	w.Restore(len(w.entries)-1, limit, phase)
}

// Restore sets what was stored of a customer, as if it were heard now: how long it was silent while no consumer ran is unknown. A
// customer that is held back turned silent before.
func (w *Watch) Restore(slot int, limit time.Duration, phase Phase) {
	w.hear(slot, limit, phase)
	if phase == Held {
		w.entries[slot].heard -= int64(limit) + 1
		w.entries[slot].gone = true
	}
}

// Absent says for how long a restored customer was not heard at the claim, compared with the others: those who left one by one must not
// seem to leave at once because their time starts again.
func (w *Watch) Absent(slot int, length time.Duration) {
	if length > turnedWithin {
		w.entries[slot].gone = true
	}
}

// Truncate forgets the slots from count on.
func (w *Watch) Truncate(count int) { w.entries = w.entries[:min(count, len(w.entries))] }

// Hear takes a reading of a customer with its limit from now on, and returns the phase that it ends.
func (w *Watch) Hear(slot int, limit time.Duration) (ended Phase) {
	ended = w.entries[slot].phase
	w.hear(slot, limit, Heard)
	return ended
}

func (w *Watch) hear(slot int, limit time.Duration, phase Phase) {
	w.entries[slot] = entry{heard: int64(w.lit), limit: uint32(limit.Milliseconds()), phase: phase}
}

// Turned reports whether a customer turned silent within the last minute.
func (w *Watch) Turned(slot int) bool {
	late := w.late(slot)
	return late > 0 && late <= turnedWithin
}

// late is for how long a customer has been silent.
func (w *Watch) late(slot int) time.Duration {
	e := &w.entries[slot]
	return time.Duration(int64(w.lit)-e.heard) - time.Duration(e.limit)*time.Millisecond
}

// Phase returns the phase of a customer.
func (w *Watch) Phase(slot int) Phase { return w.entries[slot].phase }

// SetPhase sets the phase of a customer.
func (w *Watch) SetPhase(slot int, phase Phase) { w.entries[slot].phase = phase }

// Forget stops watching a customer whose readings come from elsewhere until it is heard. It may fall silent there, so its next reading
// ends a silence.
func (w *Watch) Forget(slot int) { w.entries[slot] = entry{phase: Silent} }

// Checked says that the readings of a customer who turned silent do not come from elsewhere.
func (w *Watch) Checked(slot int) { w.entries[slot].checked = true }

// Report is what a partition adds to the fleet.
type Report struct {
	Heard   int  // customers heard within the last 15 min
	Watched int  // those of them that can be missed: their limit is known
	Turned  int  // customers that turned silent within the last minute, without those that left before the claim
	Silent  int  // customers that turned silent within the last 15 min and were not heard since
	Behind  bool // the consumer is behind
}

// Slots are those of customers for whom something is to be done.
type Slots struct {
	Turned  []int // turned silent; in the report only once they are Checked
	Overdue []int // to be found silent
	Held    []int // held back by an outage
}

// Look returns the report of now and sets slots.
//
// It goes through all customers: reading 16 bytes each in order costs three nanoseconds, once a second (BenchmarkLook).
func (w *Watch) Look(slots *Slots) (r Report) {
	slots.Turned, slots.Overdue, slots.Held = slots.Turned[:0], slots.Overdue[:0], slots.Held[:0]
	now := int64(w.lit)
	for slot := range w.entries {
		e := &w.entries[slot]
		since := time.Duration(now - e.heard)
		if e.phase == Held {
			slots.Held = append(slots.Held, slot)
		}
		if e.limit == 0 {
			if since <= heardWithin && e.phase == Heard {
				r.Heard++
			}
			continue
		}
		late := since - time.Duration(e.limit)*time.Millisecond
		if since <= heardWithin || late > 0 && late <= heardWithin {
			r.Heard++
			r.Watched++
		}
		if late <= 0 {
			continue
		}
		if late <= turnedWithin {
			if !e.checked {
				slots.Turned = append(slots.Turned, slot)
			} else if !e.gone {
				r.Turned++
			}
		}
		if late <= heardWithin {
			r.Silent++
		}
		if e.phase == Heard && late > hold {
			slots.Overdue = append(slots.Overdue, slot)
		}
	}
	return r
}

// Find returns which of the slots of a Look become silent or held back, given the fleet and what becomes of its outage. Who was held
// back has its limit once more when the outage ends: the last of those who come back are heard a moment after the first.
func (w *Watch) Find(slots *Slots, fleet *Fleet, outage Change) (found []int, phase Phase) {
	if fleet.HoldsBack(outage) || outage == Clear {
		w.released = w.lit
	}
	if fleet.HoldsBack(outage) {
		return slots.Overdue, Held
	}
	found = slots.Overdue
	if fleet.MayFollow() {
		found = slices.DeleteFunc(found, w.Turned)
	}
	for _, slot := range slots.Held {
		if w.lit-w.released > time.Duration(w.entries[slot].limit)*time.Millisecond {
			found = append(found, slot)
		}
	}
	return found, Silent
}
