package evaluate

import (
	"fmt"
	"time"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/simulate"
)

// Variant is a way to turn readings into alarms: the detector, the detector with one part changed, or the rule that each
// anomalous reading is an alarm.
type Variant struct {
	Name       string                              // for JSON
	Title      string                              // for people
	Change     func(*detect.Settings)              // nil: none
	Input      func(detect.Reading) detect.Reading // changes what the detector sees; nil: nothing
	PerReading bool                                // no detector
}

// The variants that every evaluation has.
var (
	fullDetector  = Variant{Name: "detector", Title: "the detector"}
	perReading    = Variant{Name: "per_reading", Title: "each anomalous reading is an alarm", PerReading: true}
	basicVariants = []Variant{fullDetector, perReading}
)

const removed = 300 // bpm: the gate lets any step pass

// ablations remove one part of the detector each. What has no setting is taken from the readings instead, so that the
// detector has no code for it.
func ablations() []Variant {
	return []Variant{
		{Name: "without_gate", Title: "without the gate for implausible steps", Change: func(s *detect.Settings) { s.GateStep = removed }},
		{Name: "without_median", Title: "without the median", Change: func(s *detect.Settings) { s.Median = 1 }},
		{Name: "without_on_delay", Title: "without the delay before a raise", Change: func(s *detect.Settings) { s.OnDelay, s.OnReadings = 0, 1 }},
		{Name: "without_off_delay", Title: "without the delay before a clear", Change: func(s *detect.Settings) { s.OffDelay = 0 }},
		{Name: "without_clear_band", Title: "without the clear band", Change: func(s *detect.Settings) { s.HighMargin, s.LowMargin = 0, 0 }},
		{Name: "without_reopening", Title: "without reopening", Change: func(s *detect.Settings) { s.ReopenWithin = 0 }},
		{Name: "without_unconfirmed", Title: "without unconfirmed alarms of slow devices", Change: func(s *detect.Settings) { s.Slow = 24 * time.Hour }},
		{Name: "without_late_rule", Title: "late readings are judged", Input: neverLate},
		{Name: "without_arrival_time", Title: "the device's clock is believed", Input: believeClock},
		{Name: "gate_alone", Title: "the gate alone", Change: func(s *detect.Settings) {
			s.Median, s.OnDelay, s.OnReadings, s.OffDelay, s.HighMargin, s.LowMargin = 1, 0, 1, 0, 0, 0
		}},
		{Name: "delays_alone", Title: "the delays alone", Change: func(s *detect.Settings) { s.GateStep, s.Median = removed, 1 }},
	}
}

// neverLate lets a reading arrive before it would count as late.
func neverLate(r detect.Reading) detect.Reading {
	r.Kafka = min(r.Kafka, r.Event+detect.Time(time.Minute/time.Microsecond))
	return r
}

// believeClock makes the device's time the time used.
func believeClock(r detect.Reading) detect.Reading {
	r.Kafka = max(r.Kafka, r.Event)
	return r
}

// onDelays trade false alarms against delay.
func onDelays() (variants []Variant) {
	for _, seconds := range []int{0, 5, 10, 20, 30, 45} {
		delay := time.Duration(seconds) * time.Second
		variants = append(variants, Variant{
			Name: fmt.Sprintf("on_delay_%d", seconds), Title: fmt.Sprintf("%d s", seconds),
			Change: func(s *detect.Settings) { s.OnDelay = delay },
		})
	}
	return variants
}

// subject runs one variant over the readings of one customer after the other.
type subject struct {
	variant  *Variant
	detector *detect.Detector
	state    detect.State
	alarms   Alarms
	out      []detect.Transition
}

func newSubjects(variants []Variant) ([]subject, error) {
	subjects := make([]subject, len(variants))
	for i := range variants {
		settings := detect.DefaultSettings()
		if change := variants[i].Change; change != nil {
			change(&settings)
		}
		detector, err := detect.New(settings, detect.Source{Log: "evaluation"})
		if err != nil {
			return nil, fmt.Errorf("set up %s: %w", variants[i].Name, err)
		}
		subjects[i] = subject{variant: &variants[i], detector: detector}
	}
	return subjects, nil
}

// begin forgets the customer before.
func (s *subject) begin() {
	s.state = detect.State{}
	s.alarms.reset()
}

func (s *subject) step(r detect.Reading) {
	if s.variant.PerReading {
		s.alert(r)
		return
	}
	if s.variant.Input != nil {
		r = s.variant.Input(r)
	}
	if s.out = s.detector.Step(&s.state, r, detect.DefaultLimits(), s.out[:0]); len(s.out) > 0 {
		s.alarms.Apply(s.out)
	}
}

// alert makes an alarm of an anomalous reading.
func (s *subject) alert(r detect.Reading) {
	a := Alarm{Raised: r.TimeUsed(), Urgent: true}
	switch r.Class {
	case heartbeat.Normal:
		return
	case heartbeat.Tachycardia:
		a.Condition = simulate.RateHigh
	case heartbeat.Bradycardia:
		a.Condition = simulate.RateLow
	default:
		a.Condition, a.Urgent = simulate.BadSignal, false
	}
	s.alarms.All = append(s.alarms.All, a)
}
