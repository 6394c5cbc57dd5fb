package simulate

import (
	"math"
	"math/rand/v2"
)

const (
	// startSequence tells the random sequence of a customer's start from those of the episodes.
	startSequence = math.MaxUint64

	// leastLeft is how many seconds an episode under way at the start holds on when a monitor should report it: an
	// episode that ends sooner would be neither a certain hit nor a certain miss.
	leastLeft = 90
)

// start puts a customer's episodes into their steady state: as many as the rates and durations give are under way.
// Gateway outages begin later, because a customer who was never heard cannot turn silent.
func (p *Population) start(i int) {
	random := rand.New(rand.NewPCG(mix(p.seed+uint64(p.id(i))), startSequence))
	share := p.startShare(i)
	for kind, rate := range p.options.Episodes[:GatewayOutage] {
		if share -= rate * meanSeconds(Kind(kind)) / day.Seconds(); share < 0 {
			p.startWithin(i, drawUnderWay(random, Kind(kind)))
			return
		}
	}
	ended := restTime.Seconds()
	if resting := p.options.Episodes.perCustomer() * ended / day.Seconds(); share < resting {
		ended *= share / resting
	}
	p.scheduleEpisode(i, -int64(ended))
}

// startShare is a customer's place among all, 0 to 1. Multiples of an irrational number are spread more evenly than
// random numbers are, so that every seed begins with the expected number of episodes of each kind, give or take one or two.
func (p *Population) startShare(i int) float64 {
	_, share := math.Modf(float64(p.id(i))*math.Sqrt2 + float64(p.seed>>11)/(1<<53))
	return share
}

func (p *Population) startWithin(i int, episode plan) {
	c := &p.customers[i]
	c.episodes = 1
	c.change = second(episode.end)
	p.active[i] = &episode
	p.pending = append(p.pending, p.truth(i, &episode))
}

// drawUnderWay draws an episode that began before the start. A long one is the likelier to be under way, so courses are
// accepted in proportion to the time for which they can have run.
func drawUnderWay(random *rand.Rand, kind Kind) plan {
	longest := courses[kind]
	most := longest.rise.most + longest.hold.most + longest.fall.most + 1 + longest.hold.most/100
	for {
		p := drawCourse(random, kind, 0)
		oldest := p.end
		if p.expected(0) != None {
			oldest = p.held() - leastLeft
		}
		if age := random.Int64N(most); age < oldest {
			p.onset, p.end = -age, p.end-age
			return p
		}
	}
}
