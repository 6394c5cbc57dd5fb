package detect

import (
	"time"

	"heartbeat/internal/heartbeat"
)

// Limits are the heart rates that are not beyond either limit: a rate is beyond above High and below Low.
type Limits struct {
	Low, High heartbeat.BPM
}

// Detector applies the rules to the readings of one Source. It has no state of its own and never changes.
type Detector struct {
	source   Source
	settings Settings // for the plain numbers

	gateStep, gateSlope  Time // bpm × 1e6, bpm × µs per µs: comparable with bpm × time
	onDelay, offDelay    Time
	sparse               Time
	slow                 Time
	stuckTime            Time
	reopenWithin         uint32 // seconds
	highRule, lowRule    rateRule
	badShare, easedShare int // percent
}

// New returns a detector for one log. It fails when a setting is out of its range.
func New(settings Settings, source Source) (*Detector, error) {
	if err := settings.validate(); err != nil {
		return nil, err
	}
	return &Detector{
		source:       source,
		settings:     settings,
		gateStep:     Time(settings.GateStep) * second,
		gateSlope:    Time(settings.GateSlope),
		onDelay:      micros(settings.OnDelay),
		offDelay:     micros(settings.OffDelay),
		sparse:       micros(settings.OnDelay) / 2,
		slow:         micros(settings.Slow) * (100 + jitterPercent) / 100,
		stuckTime:    micros(settings.StuckTime),
		reopenWithin: uint32(settings.ReopenWithin / time.Second),
		highRule:     rateRule{condition: RateHigh, sign: 1, margin: int16(settings.HighMargin)},
		lowRule:      rateRule{condition: RateLow, sign: -1, margin: int16(settings.LowMargin)},
		badShare:     settings.BadShare,
		easedShare:   settings.BadShare / easeShare,
	}, nil
}

// Source returns the log that the detector reads.
func (d *Detector) Source() Source { return d.source }

func micros(d time.Duration) Time { return Time(d / time.Microsecond) }

// Step takes the next reading of a customer in the order of its partition, moves the state on, and appends to out what
// changed: at most one transition for each condition, in the order of Conditions. It allocates only to grow out.
//
// The result depends on nothing but its arguments and the detector's Settings and Source.
func (d *Detector) Step(s *State, r Reading, limits Limits, out []Transition) []Transition {
	if s.clockWasAhead(r) {
		s.restart(r.Kafka)
	}
	s.hear(r)
	if r.isLate(s.last) {
		return out
	}
	at, previous := r.TimeUsed(), s.good
	s.advance(at)
	s.noKafkaTime = r.Kafka < 0
	if !r.usable() {
		return d.stepSignal(s, r, at, bad, out)
	}
	first := s.windowLen == 0
	believed, runFrom := d.passGate(s, at, int16(r.BPM))
	switch {
	case believed == 0 && first:
		return d.stepSignal(s, r, at, unconfirmedFirst, out)
	case believed == 0:
		return d.stepSignal(s, r, at, bad, out)
	}
	x := sample{at: at, runFrom: at, reading: int16(r.BPM), offset: r.Offset}
	interval := s.interval()
	x.slow, x.needed = interval > d.slow, d.settings.OnReadings
	if interval > d.sparse {
		x.needed = max(x.needed-1, 1)
	}
	x.follows = at-previous <= interval*Time(d.settings.Confirm)
	if x.value = x.reading; !x.slow {
		x.value = s.median(d.settings.Median)
		if believed == gateReadings {
			x.runFrom, x.newer, x.older = runFrom, s.window[1], s.window[2]
		}
	}
	out = d.stepRate(&d.highRule, &s.high, x, int16(limits.High), out)
	out = d.stepRate(&d.lowRule, &s.low, x, int16(limits.Low), out)
	return d.stepSignal(s, r, at, good, out)
}
