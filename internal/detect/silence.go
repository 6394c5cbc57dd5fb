package detect

import "time"

// Numbers of the expected gap and of silence. Source: alarms.md §5, where no other is named.
const (
	// gapShare divides how far a gap moves the mean and the deviation: a weight of 0.1.
	gapShare = 10
	// gapsNeeded is how many gaps make an expectation.
	gapsNeeded = 20
	// oneTransmission is the time within which readings are one sign of life: a device that sends its readings by the dozen
	// must not be expected back in a millisecond. Own choice.
	oneTransmission = second

	silenceFactor     = 3
	silenceDeviations = 4
	minSilence        = 60 * second
	maxSilence        = 6 * 60 * minute
	maxExpectedGap    = 10 * minute
)

// gapStatistics are the mean of the gaps between transmissions, and their mean deviation from it, both with exponential weights.
type gapStatistics struct {
	arrived         Time   // of the first reading of the latest transmission
	mean, deviation uint32 // ms
}

// Heard returns the newest arrival of any reading, late ones included: the sign of life.
func (s *State) Heard() Time { return s.heard }

// Offset returns the offset of the newest reading, late ones included.
func (s *State) Offset() int64 { return s.offset }

// SilentAfter returns for how long nothing must be heard of the customer to make it silent, and 0 while that is not
// known: before gapsNeeded gaps, and of a device that reports too seldom to be missed.
func (s *State) SilentAfter() time.Duration {
	return time.Duration(s.silentAfter()) * time.Microsecond
}

func (s *State) silentAfter() Time {
	mean, deviation := Time(s.gap.mean)*millisecond, Time(s.gap.deviation)*millisecond
	if s.gapsLearned < gapsNeeded || mean > maxExpectedGap {
		return 0
	}
	return min(max(silenceFactor*(mean+silenceDeviations*deviation), minSilence), maxSilence)
}

// hear takes the arrival of a reading. A gap counts as the limit at most: an outage of an hour must not make the customer
// one who reports every few minutes. A device that has become slower is known again after some gaps.
func (s *State) hear(r Reading) {
	arrival := r.heard()
	s.heard, s.offset = max(s.heard, arrival), r.Offset
	gap := arrival - s.gap.arrived
	if s.gap.arrived != 0 && gap >= 0 && gap < oneTransmission {
		return
	}
	first := s.gap.arrived == 0 || gap < 0 // a clock that steps back gives no gap
	s.gap.arrived = arrival
	if first {
		return
	}
	limit := s.silentAfter()
	if limit == 0 {
		limit = maxSilence
	}
	x := int64(min(gap, limit) / millisecond)
	if s.gapsLearned == 0 {
		s.gap.mean, s.gapsLearned = uint32(x), 1
		return
	}
	difference := x - int64(s.gap.mean)
	s.gap.mean = uint32(int64(s.gap.mean) + difference/gapShare)
	s.gap.deviation = uint32(int64(s.gap.deviation) + (max(difference, -difference)-int64(s.gap.deviation))/gapShare)
	s.gapsLearned = min(s.gapsLearned+1, gapsNeeded)
}
