package detect

import (
	"slices"

	"heartbeat/internal/heartbeat"
)

// reference is the detector written as plainly as possible: it keeps everything and looks back. It shares no code with
// Step but the vocabulary and the id of an alarm.
type reference struct {
	settings Settings
	source   Source

	heard   Time
	taken   []taken       // readings that are not late
	good    []goodReading // those among them that were believed
	changes []Transition
	carried map[Condition]int // peaks of the alarms that were active at the last restart
}

type taken struct {
	at      Time
	good    bool
	gated   bool
	bpm     int
	trust   bool // gated, and believed later
	first   bool // gated before the first good reading
	noKafka bool // without a Kafka timestamp
	percent int  // of bad readings, as seen then
}

type goodReading struct {
	at       Time
	bpm      int
	stepped  bool // a step of the detector ended with it: of three believed together only the last
	from     Time // where a run that it begins has its start
	with     []int
	value    int
	slow     bool
	interval Time
	limits   Limits
}

func (r *reference) step(reading Reading, limits Limits) []Transition {
	at := reading.Event
	arrived := reading.Event
	if reading.Kafka >= 0 {
		at, arrived = min(reading.Event, reading.Kafka), reading.Kafka
	}
	if n := len(r.taken); n > 0 && r.taken[n-1].noKafka && reading.Kafka >= 0 && r.taken[n-1].at > reading.Kafka+600_000_000 {
		r.restart(reading.Kafka)
	}
	r.heard = max(r.heard, arrived)
	tooOld := reading.Kafka >= 0 && reading.Kafka-reading.Event > 120_000_000
	if tooOld || at <= 0 || at > 4294967295_000_000 || len(r.taken) > 0 && at <= r.taken[len(r.taken)-1].at {
		return nil
	}
	before := len(r.changes)
	if reading.Class == heartbeat.Invalid || reading.NoContact || reading.BPM < 1 || reading.BPM > 300 {
		r.taken = append(r.taken, taken{at: at, noKafka: reading.Kafka < 0})
	} else if r.believe(reading, at, limits) {
		r.rate(RateHigh, reading.Offset)
		r.rate(RateLow, reading.Offset)
	}
	r.badSignal(reading.Offset)
	return r.changes[before:]
}

// restart forgets all but the alarms.
func (r *reference) restart(at Time) {
	carried := map[Condition]int{}
	var kept []Transition
	for _, c := range Conditions {
		changes := r.of(c)
		if len(changes) == 0 {
			continue
		}
		last := changes[len(changes)-1]
		newest := r.taken[len(r.taken)-1].at
		if c != BadSignal { // only good readings are held against the limits
			newest = append([]goodReading{{}}, r.good...)[len(r.good)].at
		}
		switch {
		case last.Kind == Clear && newest/1e6 > last.At/1e6+Time(r.settings.ReopenWithin.Seconds()):
		case last.Kind == Clear:
			last.At = min(last.At, at)
			kept = append(kept, last)
		case c == BadSignal:
			carried[c] = int(r.worst(changes, true, 0))
			last.At = 1 // before all that comes
			kept = append(kept, last)
		default:
			carried[c] = r.peak(c, last.At+1<<60)
			last.At, last.Since, last.Kind = 1, 1, Raise
			kept = append(kept, last)
		}
	}
	r.heard, r.taken, r.good, r.changes, r.carried = at, nil, nil, kept, carried
}

// believe is the artefact gate.
func (r *reference) believe(reading Reading, at Time, limits Limits) bool {
	bpm := int(reading.BPM)
	now := taken{at: at, bpm: bpm, noKafka: reading.Kafka < 0, first: len(r.good) == 0}
	r.taken = append(r.taken, now)
	believed, from := r.agreeing()
	if believed == nil && r.plausible(at, bpm) {
		believed, from = []int{bpm}, at
	}
	n := len(r.taken) - 1
	r.taken[n].good, r.taken[n].gated = believed != nil, believed == nil
	if believed == nil {
		return false
	}
	for _, b := range believed {
		r.good = append(r.good, goodReading{at: at, bpm: b})
	}
	last := &r.good[len(r.good)-1]
	r.describe(last, limits)
	if last.from = at; !last.slow {
		last.from, last.with = from, believed[:len(believed)-1]
	}
	return true
}

func (r *reference) plausible(at Time, bpm int) bool {
	if len(r.good) == 0 {
		return r.interval() > r.slowest()
	}
	last := r.good[len(r.good)-1]
	step := float64(max(bpm-last.bpm, last.bpm-bpm))
	return step <= 1e-9+max(float64(r.settings.GateStep), float64(r.settings.GateSlope)*float64(at-last.at)/1e6)
}

// agreeing returns the latest reading after the two, of the three gated before it, that agree with it.
func (r *reference) agreeing() (believed []int, from Time) {
	n := len(r.taken) - 1
	now, held := r.taken[n], []int{}
	for i := n - 1; i >= 0 && len(held) < 3 && !r.taken[i].good; i-- {
		if r.taken[i].gated {
			held = append(held, i)
		}
	}
	for _, pair := range [][2]int{{0, 1}, {0, 2}, {1, 2}} {
		if pair[1] >= len(held) {
			continue
		}
		newer, older := r.taken[held[pair[0]]], r.taken[held[pair[1]]]
		three := []int{older.bpm, newer.bpm, now.bpm}
		if slices.Max(three)-slices.Min(three) > r.settings.GateAgree {
			continue
		}
		r.taken[held[pair[0]]].trust, r.taken[held[pair[1]]].trust = true, true
		from = now.at
		for _, gap := range r.gaps()[:pair[1]+1] {
			from -= min(gap, 4294967295_000)
		}
		return three, from
	}
	return nil, 0
}

// gaps returns the latest three gaps or fewer, the latest first.
func (r *reference) gaps() (gaps []Time) {
	for i := len(r.taken) - 1; i > 0 && len(gaps) < 3; i-- {
		gaps = append(gaps, (r.taken[i].at-r.taken[i-1].at)/1000*1000)
	}
	return gaps
}

func (r *reference) interval() Time {
	gaps := r.gaps()
	if len(gaps) == 0 {
		return 0
	}
	slices.Sort(gaps)
	return min(gaps[(len(gaps)-1)/2], 4294967295_000)
}

func (r *reference) slowest() Time {
	slow := Time(r.settings.Slow.Microseconds())
	return slow + slow/10
}

func (r *reference) describe(g *goodReading, limits Limits) {
	g.interval = r.interval()
	g.stepped, g.limits, g.slow, g.value = true, limits, g.interval > r.slowest(), g.bpm
	if !g.slow {
		var window []int
		for i := max(0, len(r.good)-r.settings.Median); i < len(r.good); i++ {
			window = append(window, r.good[i].bpm)
		}
		slices.Sort(window)
		g.value = (window[len(window)/2] + window[(len(window)-1)/2]) / 2
	}
}
