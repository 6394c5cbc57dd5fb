package detect

import "slices"

// passGate puts the readings that can be believed into the window of good readings, and returns how many these are: none,
// this one, or this one with two gated before it.
//
// A step larger than max(GateStep, GateSlope × gap) from the last good reading is suspect: motion and loose contacts jump,
// hearts do not. So is the first value of a customer, which has nothing to be compared with. Three readings that agree, of
// four in a row that were suspect, are believed together: one artefact among them must not cost the time of three more.
// INVALID readings have no value and do not interrupt the row. At the interval of a slow device the gate lets any step pass,
// so it lets the first value pass, too.
func (d *Detector) passGate(s *State, at Time, value int16) (believed int, first Time) {
	if newer, older, ok := d.agreeing(s, value); ok {
		first = at
		for _, gap := range s.gaps[:older+1] {
			first -= Time(gap) * millisecond
		}
		s.uncountBad(s.heldMinute[newer])
		s.uncountBad(s.heldMinute[older])
		s.keep(at, s.held[older])
		s.keep(at, s.held[newer])
		s.keep(at, value)
		s.release()
		return gateReadings, first
	}
	if d.isPlausible(s, at, value) {
		s.release()
		s.keep(at, value)
		return 1, at
	}
	for i := heldMost - 1; i > 0; i-- {
		s.held[i], s.heldMinute[i] = s.held[i-1], s.heldMinute[i-1]
	}
	s.held[0], s.heldMinute[0] = value, uint8(at/minute%heldMinutes)
	s.heldLen = min(s.heldLen+1, heldMost)
	return 0, 0
}

// agreeing finds the newest two gated readings that agree with a value.
func (d *Detector) agreeing(s *State, value int16) (newer, older int, ok bool) {
	for older = 1; older < int(s.heldLen); older++ {
		for newer = range older {
			a, b := s.held[newer], s.held[older]
			if max(value, a, b)-min(value, a, b) <= int16(d.settings.GateAgree) {
				return newer, older, true
			}
		}
	}
	return 0, 0, false
}

func (d *Detector) isPlausible(s *State, at Time, value int16) bool {
	if s.windowLen == 0 {
		return s.interval() > d.slow
	}
	step := Time(value) - Time(s.window[0])
	return max(step, -step)*second <= max(d.gateStep, d.gateSlope*(at-s.good))
}

// release ends a run of gated readings.
func (s *State) release() { s.heldLen, s.held, s.heldMinute = 0, [heldMost]int16{}, [heldMost]uint8{} }

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
