package detect

import "slices"

// passGate decides whether a value can be believed, and puts what is believed into the window of good readings.
//
// A step larger than max(GateStep, GateSlope × gap) from the last good reading is suspect: motion and loose contacts jump,
// hearts do not. Three consecutive readings that agree are believed together, so that a true jump costs no more time than
// the median does. INVALID readings have no value and do not interrupt the three.
func (d *Detector) passGate(s *State, at Time, value int16) bool {
	if s.windowLen == 0 {
		s.keep(at, value)
		return true
	}
	step := Time(value) - Time(s.window[0])
	if max(step, -step)*second <= max(d.gateStep, d.gateSlope*(at-s.good)) {
		s.release()
		s.keep(at, value)
		return true
	}
	if s.heldLen == gateReadings-1 {
		newer, older := s.held[0], s.held[1]
		if max(value, newer, older)-min(value, newer, older) <= int16(d.settings.GateAgree) {
			for _, slot := range s.heldSlot {
				s.bad[slot] -= min(s.bad[slot], 1) // believed after all
			}
			s.release()
			s.keep(at, older)
			s.keep(at, newer)
			s.keep(at, value)
			return true
		}
	}
	s.held[1], s.held[0] = s.held[0], value
	s.heldSlot[1], s.heldSlot[0] = s.heldSlot[0], uint8(at/minute%signalMinutes)
	s.heldLen = min(s.heldLen+1, gateReadings-1)
	return false
}

// release ends a run of gated readings.
func (s *State) release() {
	s.heldLen, s.held, s.heldSlot = 0, [gateReadings - 1]int16{}, [gateReadings - 1]uint8{}
}

// keep adds a good reading to the window and to the run of equal values.
func (s *State) keep(at Time, value int16) {
	if s.stuckCount == 0 || value != s.window[0] {
		s.stuckSince, s.stuckCount = at, 0
	}
	s.stuckCount = uint8(min(int(s.stuckCount)+1, 255))
	s.window[4], s.window[3], s.window[2], s.window[1] = s.window[3], s.window[2], s.window[1], s.window[0]
	s.window[0] = value
	s.windowLen = min(s.windowLen+1, medianMost)
	s.good = at
}

// median returns the median of the latest good readings, most at most; of an even number, the mean of the middle two,
// rounded down.
func (s *State) median(most int) int16 {
	if most == medianMost && s.windowLen == medianMost {
		return medianOfFive(s.window)
	}
	values := s.window
	n := min(int(s.windowLen), most)
	slices.Sort(values[:n])
	return (values[(n-1)/2] + values[n/2]) / 2
}

// medianOfFive drops the smallest and the largest of four, twice.
func medianOfFive(w [medianMost]int16) int16 {
	low, high := max(min(w[0], w[1]), min(w[2], w[3])), min(max(w[0], w[1]), max(w[2], w[3]))
	return max(min(low, high), min(max(low, high), w[4]))
}
