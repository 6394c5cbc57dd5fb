package simulate

import (
	"math"
	"math/rand/v2"
	"time"

	"heartbeat/internal/heartbeat"
)

// A heart rate is meanRate + rateDeviation·z, where z is a sum of independent Gaussian parts. Their variances add up to 1,
// so that the fleet's distribution is that of the seed model, N(75, 15).
const (
	meanRate      = 75.0
	rateDeviation = 15.0

	personVariance    = 0.20 // constant for a person
	circadianVariance = 0.25 // one wave a day

	lowestRate, highestRate = 40, 180 // what a body reaches outside of episodes
)

// drifts are the Ornstein-Uhlenbeck parts: each forgets its past exponentially, with this time constant.
var drifts = [...]struct {
	deviation float64
	seconds   float64
}{
	{math.Sqrt(0.15), 3 * 3600},
	{math.Sqrt(0.22), 20 * 60},
	{math.Sqrt(0.18), 90},
}

// peakHour is when the circadian wave is highest for a fleet in one time zone.
const peakHour = 16

// body is the state of one person's heart rate. A float32 is precise enough and keeps ten million people in memory.
type body struct {
	person     float32
	cosine     float32 // of the circadian wave
	sine       float32
	deviations [len(drifts)]float32
}

// newBody draws a person from the fleet's distribution, at any point of each drift. In one time zone everybody's day has
// the same phase; otherwise phases are uniform, which makes both coefficients Gaussian.
func newBody(random *rand.Rand, oneZone bool) body {
	b := body{person: float32(math.Sqrt(personVariance) * random.NormFloat64())}
	cosine, sine := math.Sqrt(circadianVariance)*random.NormFloat64(), math.Sqrt(circadianVariance)*random.NormFloat64()
	if oneZone {
		cosine, sine = math.Hypot(cosine, sine), 0 // Rayleigh
	}
	b.cosine, b.sine = float32(cosine), float32(sine)
	for i, drift := range drifts {
		b.deviations[i] = float32(drift.deviation * random.NormFloat64())
	}
	return b
}

// step moves the drifts over a gap, exactly for any length of it.
func (b *body) step(random *rand.Rand, gap time.Duration) {
	seconds := gap.Seconds()
	for i, drift := range drifts {
		kept := math.Exp(-seconds / drift.seconds)
		b.deviations[i] = float32(kept*float64(b.deviations[i]) + drift.deviation*math.Sqrt(1-kept*kept)*random.NormFloat64())
	}
}

// rate is the heart rate in bpm at that point of the circadian wave, neither rounded nor clamped.
func (b *body) rate(sine, cosine float64) float64 {
	z := float64(b.person) + float64(b.cosine)*cosine + float64(b.sine)*sine
	for _, deviation := range b.deviations {
		z += float64(deviation)
	}
	return meanRate + rateDeviation*z
}

// personal is the rate around which this person varies.
func (b *body) personal() float64 { return meanRate + rateDeviation*float64(b.person) }

// flutter is the fastest part of the rate in bpm: what still varies during effort.
func (b *body) flutter() float64 { return rateDeviation * float64(b.deviations[len(drifts)-1]) }

func roundRate(rate, least, most float64) heartbeat.BPM {
	return heartbeat.BPM(math.Round(min(max(rate, least), most)))
}

// dayPeak is the instant from which the circadian wave is counted: the last peakHour at the start, in that time zone.
func dayPeak(start time.Time, zone *time.Location) time.Time {
	if zone == nil {
		return start
	}
	local := start.In(zone)
	return time.Date(local.Year(), local.Month(), local.Day(), peakHour, 0, 0, 0, zone)
}
