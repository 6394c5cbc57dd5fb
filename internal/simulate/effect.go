package simulate

import (
	"math"
	"time"

	"heartbeat/internal/heartbeat"
)

const (
	// mostExercise bounds a rate during exercise, below the limit of an alarm.
	mostExercise = 178

	// The share of a person's fastest variation that is left in an episode, at high rates and at low ones.
	fastFlutter, slowFlutter = 0.5, 0.15
)

// transmission is one reading on its way, in nanoseconds since the start of the simulation.
type transmission struct {
	sent     int64 // when it leaves the device
	recorded int64 // when it was measured
	ahead    int64 // how far the device's clock is ahead
	customer heartbeat.CustomerID
	rate     int16
	injected bool
	copies   uint8 // how often it is sent
}

// apply changes a reading as the episode does. natural is the rate of the body in bpm without it.
func (p *plan) apply(t *transmission, natural float64, b *body) {
	seconds := float64(t.recorded) / 1e9
	switch p.kind {
	case DropOut:
		t.copies = 0
	case Duplicate:
		t.copies = 2
	case ClockAhead:
		t.ahead = int64(p.level) * 1e9
	case DeviceReset, ArtefactBurst, CadenceLock, StuckValue:
		p.applySensor(t, natural, seconds)
	default:
		if !t.injected {
			t.rate = int16(p.bodyRate(natural, b, seconds))
		}
	}
}

// applySensor replaces the reading, an injected one too: the sensor no longer measures.
func (p *plan) applySensor(t *transmission, natural, seconds float64) {
	t.injected = false
	switch p.kind {
	case DeviceReset:
		t.rate = 0
		if seconds < float64(p.onset+p.rise) {
			t.copies = 0
		}
	case ArtefactBurst:
		random := p.noise(t.recorded)
		if t.rate = 0; random.IntN(5) > 0 {
			t.rate = int16(20 + random.IntN(231))
		}
	case CadenceLock:
		t.rate = int16(p.level) + int16(p.noise(t.recorded).IntN(3)-1)
	case StuckValue:
		if p.stuck == 0 {
			p.stuck = roundRate(natural, lowestRate, highestRate)
		}
		t.rate = int16(p.stuck)
	}
}

func (p *plan) bodyRate(natural float64, b *body, seconds float64) heartbeat.BPM {
	towards := func(level float64) float64 { return natural + p.weight(seconds)*(level-natural) }
	switch p.kind {
	case Exercise:
		return roundRate(max(natural, towards(p.level+fastFlutter*b.flutter())), lowestRate, mostExercise)
	case Tachycardia:
		return roundRate(towards(p.level+fastFlutter*b.flutter()), 1, 300)
	case Bradycardia:
		return roundRate(towards(p.level+slowFlutter*b.flutter()), 1, 300)
	case BriefExcursion:
		return roundRate(p.level, 1, 300)
	case Fever:
		return roundRate(natural+p.weight(seconds)*p.level, lowestRate, highestRate)
	default:
		return roundRate(natural, lowestRate, highestRate)
	}
}

// sent is when a reading leaves the device. A late upload keeps the readings of its hold and sends them afterwards, in
// order and much faster than they were recorded.
func (p *plan) sent(recorded int64) int64 {
	if p.kind != LateUpload {
		return recorded
	}
	hold := p.held() - p.onset
	kept := min(recorded-p.onset*1e9, hold*1e9)
	return max(recorded, p.held()*1e9+int64(float64(kept)*float64(p.fall)/float64(hold)))
}

// peak is the extreme rate that the person or the sensor reaches, 0 where the kind has none.
func (p *plan) peak(b *body) heartbeat.BPM {
	switch p.kind {
	case Exercise, Tachycardia, Bradycardia, BriefExcursion, CadenceLock:
		return heartbeat.BPM(p.level)
	case Fever:
		return heartbeat.BPM(math.Round(b.personal() + p.level))
	default:
		return 0
	}
}

// crossing is when the rise from a rate to the level goes over the default limit, since the start of the simulation.
func (p *plan) crossing(from float64) (time.Duration, bool) {
	limit := highestRate + 0.5 // which rounds to a rate beyond
	switch p.kind {
	case Tachycardia:
	case Bradycardia:
		limit = lowestRate - 0.5
	default:
		return 0, false
	}
	share := min(max((limit-from)/(p.level-from), 0), 1)
	if (from > limit) == (p.kind == Tachycardia) {
		share = 0 // already beyond
	}
	return time.Duration((float64(p.onset) + share*float64(p.rise)) * 1e9).Truncate(time.Microsecond), true
}

// expected is what a monitor should report, for a customer who has a reading once in that many seconds.
func (p *plan) expected(interval float64) Condition {
	seconds := float64(p.held() - p.onset)
	switch {
	case p.kind == Tachycardia:
		return RateHigh
	case p.kind == Bradycardia:
		return RateLow
	case p.kind == ArtefactBurst && seconds >= 10*interval, p.kind == StuckValue && seconds >= 65*interval:
		return BadSignal
	case (p.kind == DropOut || p.kind == LateUpload) && noticed(seconds, interval):
		return Silent
	case p.kind == GatewayOutage && noticed(seconds, interval):
		return Outage
	default:
		return None
	}
}

// noticed is whether a silence is longer than the limit of a monitor that allows for a few missing readings, and whether
// customers report often enough for one.
func noticed(seconds, interval float64) bool {
	return interval <= 600 && seconds >= max(90, 6*interval)
}
