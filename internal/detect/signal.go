package detect

import (
	"math"

	"heartbeat/internal/heartbeat"
)

// quality says whether a rate can be judged from a reading.
type quality uint8

const (
	good             quality = iota
	bad                      // INVALID or gated
	unconfirmedFirst         // gated because no value of the customer is confirmed yet: bad, but no evidence in a row
)

// stepSignal takes any reading that is not late into the condition BadSignal.
func (d *Detector) stepSignal(s *State, r Reading, at Time, q quality, out []Transition) []Transition {
	s.count(at, q)
	seen, wrong := s.counted()
	stuck := int(s.stuckCount) >= d.settings.StuckCount && at-s.stuckSince >= d.stuckTime
	if s.signalPhase == idle && wrong == 0 && !stuck && s.signalCleared == 0 {
		return out // nearly all readings
	}
	expire(&s.signalCleared, at, d.reopenWithin)
	percent := uint8(100 * wrong / seen)
	kind, opened := Clear, AlarmID{}
	switch {
	case s.signalPhase == idle:
		noisy := wrong >= signalBad && 100*wrong > d.badShare*seen
		if !noisy && !stuck && s.badRun < signalRun {
			return out
		}
		s.signalPhase, s.signalPeak = active, percent
		kind, opened = Reopen, d.source.AlarmID(r.Offset, BadSignal)
		if s.signalCleared == 0 {
			kind = Raise
		}
		s.signalCleared = 0
	case stuck || s.badRun > 0 || 100*wrong > d.easedShare*seen:
		s.signalPeak = max(s.signalPeak, percent)
		return out
	}
	out = append(out, Transition{
		Alarm: opened, Condition: BadSignal, Kind: kind, Priority: active.priority(BadSignal),
		Value: heartbeat.BPM(percent), Peak: heartbeat.BPM(s.signalPeak), Limit: heartbeat.BPM(d.badShare),
		Stuck: stuck, Since: at, At: at, Offset: r.Offset,
	})
	if kind == Clear {
		s.signalCleared, s.signalPhase, s.signalPeak = at.seconds(), idle, 0
	}
	return out
}

// count adds a reading to its minute.
func (s *State) count(at Time, q quality) {
	switch q {
	case good:
		s.badRun = 0
	case bad:
		s.badRun = min(s.badRun+1, signalRun)
	}
	slot := at / minute % signalMinutes
	if s.seen[slot] == math.MaxUint16 {
		return // a thousand readings a second: the share is known well enough
	}
	s.seen[slot]++
	if q != good {
		s.bad[slot]++
	}
}

// uncountBad takes back a gated reading that is believed after all, if its minute is in the window.
func (s *State) uncountBad(heldMinute uint8) {
	if heldMinute != heldOutside {
		slot := heldMinute % signalMinutes
		s.bad[slot] -= min(s.bad[slot], 1)
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
