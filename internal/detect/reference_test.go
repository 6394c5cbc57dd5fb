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

// of returns the changes of one condition.
func (r *reference) of(c Condition) (changes []Transition) {
	for _, change := range r.changes {
		if change.Condition == c {
			changes = append(changes, change)
		}
	}
	return changes
}

// steps returns the readings a rate was decided at, newest first, each with the good reading before it.
func (r *reference) steps() (steps []goodReading, before []Time) {
	for i := len(r.good) - 1; i >= 0; i-- {
		if !r.good[i].stepped {
			continue
		}
		steps = append(steps, r.good[i])
		// Readings believed together carry the time of the last; the one before that belongs to another step.
		earlier := i - 1
		for earlier >= 0 && !r.good[earlier].stepped {
			earlier--
		}
		if earlier < 0 {
			before = append(before, 0)
		} else {
			before = append(before, r.good[earlier].at)
		}
	}
	return steps, before
}

// distance is how far a value is beyond the limit; negative inside.
func distance(c Condition, value int, limits Limits) int {
	if c == RateHigh {
		return value - int(limits.High)
	}
	return int(limits.Low) - value
}

func (r *reference) rate(c Condition, offset int64) {
	steps, before := r.steps()
	now := steps[0]
	changes := r.of(c)
	var last Transition
	if len(changes) > 0 {
		last = changes[len(changes)-1]
	}
	open := last.Kind != 0 && last.Kind != Clear
	margin := r.settings.HighMargin
	if c == RateLow {
		margin = r.settings.LowMargin
	}
	add := func(kind Kind, priority Priority, since Time, peak int) {
		id := AlarmID{}
		if kind.Opens() {
			id = r.source.AlarmID(offset, c)
		}
		limit := now.limits.High
		if c == RateLow {
			limit = now.limits.Low
		}
		r.changes = append(r.changes, Transition{
			Alarm: id, Condition: c, Kind: kind, Priority: priority, Value: heartbeat.BPM(now.value),
			Peak: heartbeat.BPM(peak), Limit: limit, Since: since, At: now.at, Offset: offset,
		})
	}
	if open && last.Priority == High { // confirmed
		since := Time(0)
		for _, s := range steps {
			if s.at <= last.At || distance(c, s.value, s.limits) > -margin {
				break
			}
			since = s.at
		}
		if since != 0 && now.at-since >= Time(r.settings.OffDelay.Microseconds()) {
			add(Clear, High, since, r.peak(c, now.at))
		}
		return
	}
	if open && distance(c, now.value, now.limits) <= -margin {
		add(Clear, Low, now.at, r.peak(c, now.at))
		return
	}
	if distance(c, now.value, now.limits) <= 0 {
		return
	}
	since, count := r.run(c, steps, before)
	needed := r.settings.OnReadings
	if 2*now.interval > Time(r.settings.OnDelay.Microseconds()) {
		needed = max(needed-1, 1)
	}
	long := count >= needed && now.at-since >= Time(r.settings.OnDelay.Microseconds())
	followed := now.at-before[0] <= now.interval*Time(r.settings.Confirm)
	switch {
	case !open && (now.slow || long):
		kind, priority := Raise, High
		if now.slow {
			priority = Low
		}
		if last.Kind == Clear && now.at/1e6 <= last.At/1e6+Time(r.settings.ReopenWithin.Seconds()) {
			kind = Reopen
		}
		add(kind, priority, since, r.extreme(c, since, now.at, 0))
	case open && now.slow && followed && count >= 2, open && !now.slow && long:
		add(Worsen, High, since, r.peak(c, now.at))
	}
}

// run looks back over the readings beyond the limit without a break: the first one's time, and how many were themselves
// beyond. A clear ends a run; so does, in the slow form, a follower that came too late to confirm.
func (r *reference) run(c Condition, steps []goodReading, before []Time) (since Time, count int) {
	changes := r.of(c)
	first := 0
	for i, s := range steps {
		cleared := slices.ContainsFunc(changes, func(t Transition) bool { return t.Kind == Clear && t.At >= s.at })
		if distance(c, s.value, s.limits) <= 0 || cleared {
			break
		}
		first = i
	}
	opened := Time(0) // when the condition became unconfirmed
	for _, change := range changes {
		if change.Kind != Clear && change.Priority == Low {
			opened = change.At
		}
	}
	if len(changes) > 0 && changes[len(changes)-1].Kind == Clear {
		opened = 0
	}
	for i := first; i >= 0; i-- {
		s := steps[i]
		if since == 0 {
			since = s.from
		}
		for _, bpm := range append([]int{s.bpm}, s.with...) {
			if distance(c, bpm, s.limits) > 0 {
				count++
			}
		}
		confirms := s.at-before[i] <= s.interval*Time(r.settings.Confirm) && count >= 2
		if opened != 0 && s.at > opened && s.slow && !confirms {
			since, count = s.at, 1
		}
	}
	return since, count
}

// peak is the furthest value since the onset of the alarm that is open.
func (r *reference) peak(c Condition, at Time) int {
	changes := r.of(c)
	for i := len(changes) - 1; i >= 0; i-- {
		if changes[i].Kind.Opens() {
			if changes[i].At == 1 {
				return r.extreme(c, 0, at, r.carried[c])
			}
			return r.extreme(c, changes[i].Since, at, 0)
		}
	}
	return 0
}

func (r *reference) extreme(c Condition, from, to Time, extreme int) int {
	for _, g := range r.good {
		if !g.stepped || g.at < from || g.at > to {
			continue
		}
		if extreme == 0 || c == RateHigh && g.value > extreme || c == RateLow && g.value < extreme {
			extreme = g.value
		}
	}
	return extreme
}

func (r *reference) badSignal(offset int64) {
	now := r.taken[len(r.taken)-1]
	seen, bad, run := 0, 0, 0
	for _, t := range r.taken {
		if t.at/60_000_000 > now.at/60_000_000-5 {
			seen++
			if !t.good && !t.trust {
				bad++
			}
		}
		switch {
		case t.good:
			run = 0
		case !t.first:
			run++
		}
	}
	stuck := r.stuck(now.at)
	share := 100 * bad
	r.taken[len(r.taken)-1].percent = share / seen
	changes := r.of(BadSignal)
	var last Transition
	if len(changes) > 0 {
		last = changes[len(changes)-1]
	}
	open := last.Kind != 0 && last.Kind != Clear
	change := Transition{
		Condition: BadSignal, Priority: Low, Value: heartbeat.BPM(share / seen), Limit: heartbeat.BPM(r.settings.BadShare),
		Stuck: stuck, Since: now.at, At: now.at, Offset: offset,
	}
	switch {
	case !open && (stuck || run >= 5 || bad >= 10 && share > r.settings.BadShare*seen):
		change.Kind = Raise
		if last.Kind == Clear && now.at/1e6 <= last.At/1e6+Time(r.settings.ReopenWithin.Seconds()) {
			change.Kind = Reopen
		}
		change.Alarm = r.source.AlarmID(offset, BadSignal)
	case open && !stuck && run == 0 && share <= r.settings.BadShare/2*seen:
		change.Kind = Clear
	default:
		return
	}
	change.Peak = r.worst(changes, open, change.Value)
	r.changes = append(r.changes, change)
}

// worst is the largest percentage since the opening. A clear's own percentage does not raise it.
func (r *reference) worst(changes []Transition, open bool, value heartbeat.BPM) heartbeat.BPM {
	if !open {
		return value
	}
	opened := changes[len(changes)-1].At
	worst := heartbeat.BPM(0)
	if opened == 1 {
		worst = heartbeat.BPM(r.carried[BadSignal])
	}
	for i := range r.taken {
		if r.taken[i].at < opened || i == len(r.taken)-1 {
			continue
		}
		worst = max(worst, heartbeat.BPM(r.taken[i].percent))
	}
	return worst
}

func (r *reference) stuck(at Time) bool {
	count, since := 0, Time(0)
	for i := len(r.good) - 1; i >= 0 && r.good[i].bpm == r.good[len(r.good)-1].bpm; i-- {
		count, since = count+1, r.good[i].at
	}
	return count >= r.settings.StuckCount && at-since >= Time(r.settings.StuckTime.Microseconds())
}
