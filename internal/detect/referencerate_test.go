package detect

import (
	"slices"

	"heartbeat/internal/heartbeat"
)

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
