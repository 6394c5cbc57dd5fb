package detect

import (
	"math"

	"heartbeat/internal/heartbeat"
)

// stepSignal takes any reading that is not late into the condition BadSignal.
func (d *Detector) stepSignal(s *State, r Reading, at Time, good bool, out []Transition) []Transition {
	s.count(at, good)
	seen, bad := s.counted()
	stuck := int(s.stuckCount) >= d.settings.StuckCount && at-s.stuckSince >= d.stuckTime
	if s.signalPhase == idle && bad == 0 && !stuck && s.signal.cleared == 0 {
		return out // nearly all readings
	}
	s.signal.expire(at, d.reopenWithin)
	percent := uint8(100 * bad / seen)
	kind := Clear
	switch {
	case s.signalPhase == idle:
		noisy := bad >= signalBad && 100*bad > d.badShare*seen
		if !noisy && !stuck && s.badRun < signalRun {
			return out
		}
		s.signalPhase, s.signalPeak = active, percent
		kind = Reopen
		if s.signal.cleared == 0 {
			kind = Raise
			s.signal.alarm = d.source.AlarmID(r.Offset, BadSignal)
		}
		s.signal.cleared = 0
	case stuck || s.badRun > 0 || 100*bad > d.easedShare*seen:
		s.signalPeak = max(s.signalPeak, percent)
		return out
	}
	out = append(out, Transition{
		Alarm: s.signal.alarm, Condition: BadSignal, Kind: kind, Priority: active.priority(BadSignal),
		Value: heartbeat.BPM(percent), Peak: heartbeat.BPM(s.signalPeak), Limit: heartbeat.BPM(d.badShare),
		Stuck: stuck, Since: at, At: at, Offset: r.Offset,
	})
	if kind == Clear {
		s.signal.cleared, s.signalPhase, s.signalPeak = at.seconds(), idle, 0
	}
	return out
}

// count adds a reading to its minute.
func (s *State) count(at Time, good bool) {
	if now := uint32(at / minute); now != s.minute {
		for m := max(s.minute+1, now-min(now, signalMinutes-1)); m <= now; m++ {
			s.seen[m%signalMinutes], s.bad[m%signalMinutes] = 0, 0
		}
		s.minute = now
	}
	if good {
		s.badRun = 0
	} else {
		s.badRun = min(s.badRun+1, signalRun)
	}
	slot := s.minute % signalMinutes
	if s.seen[slot] == math.MaxUint16 {
		return // a thousand readings a second: the share is known well enough
	}
	s.seen[slot]++
	if !good {
		s.bad[slot]++
	}
}

// counted returns the readings and the bad ones of the last five minutes.
func (s *State) counted() (seen, bad int) {
	for i := range s.seen {
		seen += int(s.seen[i])
		bad += int(s.bad[i])
	}
	return seen, bad
}
