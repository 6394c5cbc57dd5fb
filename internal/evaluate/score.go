package evaluate

import (
	"slices"
	"time"

	"heartbeat/internal/detect"
	"heartbeat/internal/simulate"
)

// grace is how long after its end an alarm of an episode still counts.
const grace = detect.Time(60 * time.Second / time.Microsecond)

var kindCount = len(simulate.Kinds())

// score counts what the alarms of any number of customers are worth.
type score struct {
	judged     milliseconds // of all customers
	conditions [conditionCount]conditionScore
	kinds      []kindScore // by simulate.Kind
	elsewhere  [conditionCount]int
}

type conditionScore struct {
	episodes, found, foundUrgent       int
	alarms, urgent, reopened           int
	falseAlarms, falseUrgent, repeated int
	delays                             []float32 // seconds from the crossing of the limit, or from the onset
}

// kindScore is about the episodes of one kind.
type kindScore struct {
	episodes, expected, found int
	lasted                    milliseconds // how long they take together, in the period
	falseAlarms               [conditionCount]int
}

func newScore() *score { return &score{kinds: make([]kindScore, kindCount)} }

// period is the time that is judged.
type period struct{ from, to detect.Time }

func (p period) length() milliseconds { return milliseconds((p.to - p.from) / 1000) }

// milliseconds add up to the same in any order, and have room for ten million customers over years.
type milliseconds int64

func (m milliseconds) days() float64 { return float64(m) / float64(24*time.Hour/time.Millisecond) }

// window is an episode as alarms are matched with it.
type window struct {
	onset, crossing, until detect.Time
	kind                   simulate.Kind
	condition              int // expected, -1: none of Conditions
	end                    detect.Time
	expects                bool // silent or outage
	cut                    bool
	hit                    bool
}

// judge matches the alarms of one customer with its episodes. An alarm of the expected condition from the onset to a minute
// after the end is a hit, the first only; all others are false. An episode that the period does not contain to its last
// minute decides nothing, and neither do the alarms that it expects.
func (t *score) judge(over period, episodes []simulate.Episode, found []Alarm) {
	windows := make([]window, len(episodes))
	for i := range episodes {
		windows[i] = newWindow(over, &episodes[i])
		t.expect(over, &windows[i])
	}
	for i := range found {
		if a := &found[i]; over.from <= a.Raised && a.Raised < over.to {
			t.alarm(windows, a)
		}
	}
}

func newWindow(over period, e *simulate.Episode) window {
	w := window{
		onset: detect.TimeOf(e.Onset), until: detect.TimeOf(e.End) + grace, kind: e.Kind, condition: conditionIndex(e.Expected),
	}
	w.crossing = w.onset
	if !e.Crossing.IsZero() {
		w.crossing = detect.TimeOf(e.Crossing)
	}
	w.cut = w.onset < over.from || w.until > over.to
	return w
}

func (t *score) expect(over period, w *window) {
	if seen := (period{max(w.onset, over.from), min(w.until, over.to)}); seen.from < seen.to {
		t.kinds[w.kind].lasted += seen.length()
	}
	if w.cut {
		return
	}
	t.kinds[w.kind].episodes++
	if w.condition >= 0 {
		t.kinds[w.kind].expected++
		t.conditions[w.condition].episodes++
	}
}

func (t *score) alarm(windows []window, a *Alarm) {
	condition := conditionIndex(a.Condition)
	if condition < 0 {
		return
	}
	during := -1
	for i := range windows {
		w := &windows[i]
		if a.Raised < w.onset || a.Raised > w.until {
			continue
		}
		during = i
		if w.condition != condition {
			continue
		}
		if w.cut {
			return
		}
		if !w.hit {
			w.hit = true
			t.count(condition, a)
			t.hit(w, a)
			return
		}
		t.conditions[condition].repeated++
	}
	t.count(condition, a)
	c := &t.conditions[condition]
	c.falseAlarms++
	if a.Urgent {
		c.falseUrgent++
	}
	if during < 0 {
		t.elsewhere[condition]++
		return
	}
	t.kinds[windows[during].kind].falseAlarms[condition]++
}

func (t *score) count(condition int, a *Alarm) {
	c := &t.conditions[condition]
	c.alarms++
	if a.Urgent {
		c.urgent++
	}
	if a.Reopened {
		c.reopened++
	}
}

func (t *score) hit(w *window, a *Alarm) {
	c := &t.conditions[w.condition]
	t.kinds[w.kind].found++
	c.found++
	if a.Urgent {
		c.foundUrgent++
	}
	c.delays = append(c.delays, float32(float64(a.Raised-w.crossing)/1e6))
}

// add takes over what another one counted.
func (t *score) add(other *score) {
	t.judged += other.judged
	for i := range t.conditions {
		a, b := &t.conditions[i], &other.conditions[i]
		a.episodes, a.found, a.foundUrgent = a.episodes+b.episodes, a.found+b.found, a.foundUrgent+b.foundUrgent
		a.alarms, a.urgent, a.reopened = a.alarms+b.alarms, a.urgent+b.urgent, a.reopened+b.reopened
		a.falseAlarms, a.falseUrgent = a.falseAlarms+b.falseAlarms, a.falseUrgent+b.falseUrgent
		a.repeated += b.repeated
		a.delays = append(a.delays, b.delays...)
		t.elsewhere[i] += other.elsewhere[i]
	}
	for i := range t.kinds {
		a, b := &t.kinds[i], &other.kinds[i]
		a.episodes, a.expected, a.found = a.episodes+b.episodes, a.expected+b.expected, a.found+b.found
		a.lasted += b.lasted
		for c := range a.falseAlarms {
			a.falseAlarms[c] += b.falseAlarms[c]
		}
	}
}

// percentile is the smallest value that at least that share does not exceed, 0 of none.
func percentile(values []float32, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	rank := int(share*float64(len(values)) + 0.9999999)
	return float64(values[min(max(rank, 1), len(values))-1])
}
