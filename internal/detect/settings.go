package detect

import (
	"fmt"
	"time"
)

// Default values of Settings. Where no other source is named it is alarms.md §2 and §3.
const (
	defaultGateStep     = 20               // bpm between two good readings that need no confirmation
	defaultGateSlope    = 3                // bpm per second of gap: what a heart can do between two readings
	defaultGateAgree    = 15               // bpm between the readings that confirm a step
	defaultMedian       = 3                // good readings; decision 21 has the false alarms and the delay of 3 and 5
	defaultOnDelay      = 15 * time.Second // 14 s remove 50 %, 19 s 67 % of the ignored alarms (Görges 2009)
	defaultOnReadings   = 4                // as many as fall into the on-delay at an interval of 5 s; halves the false alarms of 3
	defaultOffDelay     = 30 * time.Second
	defaultHighMargin   = 5 // bpm: 175 for a limit of 180
	defaultLowMargin    = 3 // bpm: 43 for a limit of 40
	defaultSlow         = time.Minute
	defaultConfirm      = 3  // intervals
	defaultBadShare     = 20 // percent
	defaultStuckCount   = 60 // readings
	defaultStuckTime    = 10 * time.Minute
	defaultReopenWithin = 10 * time.Minute // ISA-18.2, alarms.md §4
)

// Numbers that are part of the form of a State or of a rule, not settings.
const (
	// gateReadings is how many readings that agree make a step credible (alarms.md §3).
	gateReadings = 3
	// heldMost is how many gated readings in a row are kept, of which one may disagree. Own choice: with the contract's 5.5 % of
	// artefacts, three in a row without any come 15 s late for one step in seven.
	heldMost = gateReadings
	// medianMost bounds Settings.Median: the readings a State keeps.
	medianMost = 5
	// gapCount is how many gaps the interval of a device is the median of: one drop-out changes nothing. Own choice.
	gapCount = 3
	// jitterPercent is added to Settings.Slow, so that a device with a nominal interval of exactly that length does not
	// change form from reading to reading. Own choice.
	jitterPercent = 10
	// signalMinutes is the window of the share of bad readings, in whole minutes of the time used (alarms.md §2).
	signalMinutes = 5
	// heldMinutes is a multiple of signalMinutes that a byte can count to.
	heldMinutes = 50 * signalMinutes
	// heldOutside is the minute of a held reading that is no longer in the window.
	heldOutside = 255
	// signalBad is how many bad readings of the window make a share of them evidence: with fewer, the contract's 5.5 % of
	// single artefacts are over 20 % of ten readings several times a day. Own choice, by TestHealthyFleetRaisesFewAlarms.
	signalBad = 10
	// signalRun is how many bad readings in a row are a bad signal, however far apart: a slow device has too few readings
	// in the window. Own choice.
	signalRun = 5
	// easeShare divides Settings.BadShare into the share at which a bad signal is over. Own choice: no flapping at 20 %.
	easeShare = 2
)

// Settings are the numbers of the rules. Two detectors decide the same from the same readings only with the same
// Settings, so a deployment changes them rarely. Start from DefaultSettings.
type Settings struct {
	Limits Limits // in force without other limits

	GateStep, GateSlope, GateAgree int // bpm, bpm/s, bpm; a GateStep of 300 turns the gate off
	Median                         int // good readings, 1 to 5

	OnDelay               time.Duration
	OnReadings            int // 1 to 255; one less of a device with fewer than two intervals in OnDelay
	OffDelay              time.Duration
	HighMargin, LowMargin int // bpm inside the limit at which the clear band begins

	Slow    time.Duration // a device that reports less often has its first reading beyond a limit reported unconfirmed
	Confirm int           // the next reading within this many intervals confirms

	BadShare     int // percent of INVALID and gated readings that is still a good signal
	StuckCount   int // equal readings, 1 to 255
	StuckTime    time.Duration
	ReopenWithin time.Duration // after a clear
}

// DefaultSettings returns the settings of alarms.md.
func DefaultSettings() Settings {
	return Settings{
		Limits:   DefaultLimits(),
		GateStep: defaultGateStep, GateSlope: defaultGateSlope, GateAgree: defaultGateAgree,
		Median:  defaultMedian,
		OnDelay: defaultOnDelay, OnReadings: defaultOnReadings, OffDelay: defaultOffDelay,
		HighMargin: defaultHighMargin, LowMargin: defaultLowMargin,
		Slow: defaultSlow, Confirm: defaultConfirm,
		BadShare: defaultBadShare, StuckCount: defaultStuckCount, StuckTime: defaultStuckTime,
		ReopenWithin: defaultReopenWithin,
	}
}

func (s Settings) validate() error {
	if err := s.Limits.validate(); err != nil {
		return err
	}
	for _, field := range []struct {
		name              string
		value, least, top int
	}{
		{"gate step", s.GateStep, 1, maxBPM},
		{"gate slope", s.GateSlope, 0, maxBPM},
		{"gate agreement", s.GateAgree, 0, maxBPM},
		{"median", s.Median, 1, medianMost},
		{"on readings", s.OnReadings, 1, 255},
		{"high margin", s.HighMargin, 0, 50},
		{"low margin", s.LowMargin, 0, 50},
		{"confirm intervals", s.Confirm, 1, 100},
		{"bad share", s.BadShare, 1, 100},
		{"stuck count", s.StuckCount, 2, 255},
	} {
		if field.value < field.least || field.value > field.top {
			return fmt.Errorf("detector setting %s %d: want %d to %d", field.name, field.value, field.least, field.top)
		}
	}
	for _, field := range []struct {
		name  string
		value time.Duration
	}{
		{"on delay", s.OnDelay}, {"off delay", s.OffDelay}, {"slow interval", s.Slow},
		{"stuck time", s.StuckTime}, {"reopen window", s.ReopenWithin},
	} {
		if field.value < 0 || field.value > 24*time.Hour {
			return fmt.Errorf("detector setting %s %v: want 0 to 24h", field.name, field.value)
		}
	}
	return nil
}
