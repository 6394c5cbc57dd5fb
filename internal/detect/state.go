package detect

import "heartbeat/internal/heartbeat"

// State is what the detector knows of one customer. The zero value is a customer never heard of. A State is a plain value:
// copying it is a snapshot, comparing two with == reports whether they are the same.
//
// Its fields are narrow because there may be a million of them in memory.
type State struct {
	heard Time // newest arrival of any reading, late ones included
	last  Time // time used of the newest reading that was not late
	good  Time // time used of the newest good reading

	stuckSince Time // time used of the first of the stuckCount latest good readings, which are equal

	offset int64 // of the newest reading, late ones included
	gap    gapStatistics

	high, low     rateState
	signalCleared uint32 // as of a rateState

	gaps   [gapCount]uint32      // ms between the latest readings, newest first
	seen   [signalMinutes]uint16 // readings by minute modulo signalMinutes
	bad    [signalMinutes]uint16 // those that were INVALID or gated and never believed
	window [medianMost]int16     // values of the latest good readings, newest first
	held   [heldMost]int16       // values of the latest gated readings, newest first

	heldMinute  [heldMost]uint8 // minutes of the held readings, modulo heldMinutes, or heldOutside
	stuckCount  uint8
	badRun      uint8 // bad readings in a row
	signalPeak  uint8 // percent
	signalPhase phase
	gapsKnown   uint8
	gapsLearned uint8 // at most gapsNeeded
	windowLen   uint8
	heldLen     uint8
	noKafkaTime bool // last is the time of a reading without a Kafka timestamp
}

// rateState is the part of one rate condition.
type rateState struct {
	// since is the time used of the first reading of a run: of one beyond the limit before the alarm is confirmed, of
	// one inside the clear band afterwards. 0 is no run.
	since   Time
	cleared uint32 // unix seconds of the last clear while the alarm can be reopened, else 0
	peak    int16  // furthest value judged since the run that raised, 0 while there is neither run nor alarm
	phase   phase
	count   uint8 // good readings beyond the limit in the run, at most 255
}

type phase uint8

const (
	idle        phase = iota
	unconfirmed       // active, LOW: one reading of a slow device
	active
)

func (p phase) priority(c Condition) Priority {
	if p == active && c != BadSignal {
		return High
	}
	return Low
}

// Last returns the time used of the newest reading that was not late.
func (s *State) Last() Time { return s.last }

// clockWasAhead reports that the time of the last reading judged, which only the reading itself named, cannot have come yet.
func (s *State) clockWasAhead(r Reading) bool {
	return s.noKafkaTime && r.Kafka >= 0 && s.last > r.Kafka+maxLead
}

// restart begins again at an arrival. Only the alarms and what is known of gaps stay.
func (s *State) restart(arrival Time) {
	before := *s
	*s = State{heard: arrival, gap: before.gap, gapsLearned: before.gapsLearned}
	s.gap.arrived = arrival
	for _, condition := range Conditions {
		episode, _ := before.Episode(condition)
		episode.Cleared = min(episode.Cleared, arrival)
		s.SetEpisode(condition, episode)
	}
}

// Episode is the alarm of one condition as a State has it.
type Episode struct {
	Active   bool
	Priority Priority      // while active
	Peak     heartbeat.BPM // while active
	Cleared  Time          // whole seconds; of one that is not active and can be reopened
}

// Episode returns the alarm of a condition that is active, or cleared so recently that it can be reopened.
func (s *State) Episode(c Condition) (e Episode, ok bool) {
	cleared, phase, peak := s.signalCleared, s.signalPhase, int16(s.signalPeak)
	if c != BadSignal {
		rate := s.rate(c)
		cleared, phase, peak = rate.cleared, rate.phase, rate.peak
	}
	if phase == idle {
		return Episode{Cleared: Time(cleared) * second}, cleared != 0
	}
	return Episode{Active: true, Priority: phase.priority(c), Peak: heartbeat.BPM(peak)}, true
}

// SetEpisode sets the alarm of a condition; the zero Episode is none. It is for a state whose readings Kafka no longer has: then the
// database knows which alarms are open, and the state does not. A run in progress starts over, unless no alarm is active before and
// after.
func (s *State) SetEpisode(c Condition, e Episode) {
	cleared, now := uint32(0), idle
	switch {
	case e.Active && e.Priority == High || e.Active && c == BadSignal:
		now = active
	case e.Active:
		now = unconfirmed
	case e.Cleared >= second && e.Cleared <= lastTime:
		cleared = e.Cleared.seconds()
	}
	peak := int16(0)
	if now != idle {
		peak = int16(min(max(e.Peak, minBPM), maxBPM))
	}
	if c == BadSignal {
		s.signalCleared, s.signalPhase, s.signalPeak = cleared, now, uint8(min(peak, 100))
		return
	}
	rate := s.rate(c)
	if rate.phase == idle && now == idle {
		rate.cleared = cleared
		return
	}
	*rate = rateState{cleared: cleared, peak: peak, phase: now}
}

func (s *State) rate(c Condition) *rateState {
	if c == RateHigh {
		return &s.high
	}
	return &s.low
}

// interval is the time between readings of the device: the median of the latest gaps, 0 before there is one.
func (s *State) interval() Time {
	a, b, c := s.gaps[0], s.gaps[1], s.gaps[2]
	switch s.gapsKnown {
	case 0:
		return 0
	case 1:
		return Time(a) * millisecond
	case 2:
		return Time(min(a, b)) * millisecond
	default:
		return Time(max(min(a, b), min(max(a, b), c))) * millisecond
	}
}

// advance moves on to the time used of a reading that is not late.
func (s *State) advance(at Time) {
	if s.last != 0 {
		s.gaps[2], s.gaps[1] = s.gaps[1], s.gaps[0]
		s.gaps[0] = uint32(min((at-s.last)/millisecond, 1<<32-1))
		s.gapsKnown = min(s.gapsKnown+1, gapCount)
	}
	if before, now := s.last/minute, at/minute; now != before {
		for m := max(before+1, now-min(now, signalMinutes-1)); m <= now; m++ {
			s.seen[m%signalMinutes], s.bad[m%signalMinutes] = 0, 0
		}
		for i, held := range s.heldMinute[:s.heldLen] {
			// Marked at once: from heldMinutes on, the remainder would say again that the reading is in the window.
			if now-before >= signalMinutes || (now+heldMinutes-Time(held))%heldMinutes >= signalMinutes {
				s.heldMinute[i] = heldOutside
			}
		}
	}
	s.last = at
}

const millisecond = 1000

// expire forgets the time of a clear when the alarm can no longer be reopened.
func expire(cleared *uint32, at Time, within uint32) {
	if *cleared != 0 && int64(at.seconds()) > int64(*cleared)+int64(within) {
		*cleared = 0
	}
}
