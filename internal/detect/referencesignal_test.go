package detect

import (
	"heartbeat/internal/heartbeat"
)

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
