package simulate

import (
	"math"
	"math/rand/v2"
	"time"

	"heartbeat/internal/heartbeat"
)

// restTime is the least time between two episodes of a customer, and between two outages: labels never touch.
const restTime = 15 * time.Minute

// span is a range of whole numbers, both ends included, drawn uniformly.
type span struct{ least, most int64 }

func (s span) draw(random *rand.Rand) int64 { return s.least + random.Int64N(s.most-s.least+1) }

func (s span) mean() float64 { return float64(s.least+s.most) / 2 }

// courses say how each kind runs: seconds of rise, hold and fall, and the level that it reaches.
var courses = [kinds]struct{ rise, hold, fall, level span }{
	Exercise:       {rise: span{30, 60}, hold: span{600, 2400}, fall: span{60, 90}, level: span{120, 165}},
	Tachycardia:    {rise: span{30, 30}, hold: span{120, 600}, fall: span{30, 30}, level: span{190, 220}},
	Bradycardia:    {rise: span{30, 30}, hold: span{120, 600}, fall: span{30, 30}, level: span{25, 34}},
	BriefExcursion: {hold: span{5, 14}, level: span{185, 210}}, // below 15 s, after which an alarm may be raised
	Fever:          {rise: span{7200, 7200}, hold: span{86_400, 345_600}, fall: span{7200, 7200}, level: span{8, 15}},
	ArtefactBurst:  {hold: span{120, 300}},
	CadenceLock:    {hold: span{120, 600}, level: span{140, 175}},
	StuckValue:     {hold: span{900, 3600}},
	DropOut:        {hold: span{180, 1800}},
	DeviceReset:    {rise: span{20, 60}, hold: span{10, 20}}, // silence, then zeros
	Duplicate:      {hold: span{60, 600}},
	LateUpload:     {hold: span{300, 7200}},                        // and a hundredth of that to send what was kept
	ClockAhead:     {hold: span{600, 3600}, level: span{120, 540}}, // seconds ahead
	GatewayOutage:  {hold: span{120, 600}, level: span{10, 40}},    // per cent of the fleet
}

// slowExcursion is the level of the half of the brief excursions that go below the lower limit.
var slowExcursion = span{25, 36}

func meanSeconds(kind Kind) float64 {
	c := courses[kind]
	return c.rise.mean() + c.hold.mean() + c.fall.mean()
}

// plan is how one episode runs. Times are whole seconds since the start of the simulation.
type plan struct {
	kind       Kind
	onset, end int64
	rise, fall int64
	level      float64
	key        uint64        // of the noise
	stuck      heartbeat.BPM // the value that a stuck sensor repeats; 0 until it is known
}

// drawPlan draws an episode from the rates. Everything but the onset depends on the random sequence alone.
func drawPlan(random *rand.Rand, rates Rates, onset int64) plan {
	return drawCourse(random, drawKind(random, rates), onset)
}

func drawKind(random *rand.Rand, rates Rates) Kind {
	x := random.Float64() * rates.perCustomer()
	last := Kind(0)
	for kind := range GatewayOutage {
		if rates[kind] == 0 {
			continue
		}
		if last = kind; x < rates[kind] {
			break
		}
		x -= rates[kind]
	}
	return last
}

func drawCourse(random *rand.Rand, kind Kind, onset int64) plan {
	course := courses[kind]
	level := course.level
	if kind == BriefExcursion && random.IntN(2) == 0 {
		level = slowExcursion
	}
	p := plan{kind: kind, onset: onset, rise: course.rise.draw(random), level: float64(level.draw(random))}
	hold := course.hold.draw(random)
	p.fall = course.fall.draw(random)
	if kind == LateUpload {
		p.fall = 1 + hold/100
	}
	p.end = onset + p.rise + hold + p.fall
	p.key = random.Uint64()
	return p
}

// pause draws the seconds from the end of one episode to the onset of the next, so that there are perDay of them in the
// long run when episodes and rests take that share of the time.
func pause(random *rand.Rand, perDay, busy float64) int64 {
	mean := day.Seconds() / perDay * (1 - busy)
	return int64(restTime.Seconds()) + int64(math.Ceil(mean*random.ExpFloat64()))
}

// held is the end of the hold: when a late upload begins to send what it kept.
func (p *plan) held() int64 { return p.end - p.fall }

// weight is how far an episode with ramps has taken over, 0 to 1.
func (p *plan) weight(seconds float64) float64 {
	since, left := seconds-float64(p.onset), float64(p.end)-seconds
	weight := 1.0
	if p.rise > 0 {
		weight = min(weight, since/float64(p.rise))
	}
	if p.fall > 0 {
		weight = min(weight, left/float64(p.fall))
	}
	return max(weight, 0)
}

// noise returns a random sequence of the episode for the reading at that time, so that an episode draws nothing from the
// customer's own sequence: what comes after it is the same with and without it.
func (p *plan) noise(at int64) *rand.Rand {
	return rand.New(rand.NewPCG(p.key, mix(uint64(at))))
}

// mix is the finalizer of SplitMix64. It makes unrelated seeds out of neighbouring numbers.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
