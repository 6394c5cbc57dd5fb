package simulate

import (
	"cmp"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"heartbeat/internal/heartbeat"
)

// Reading is what a device sends, with what only the simulator knows.
type Reading struct {
	heartbeat.Event
	Sent     time.Time // when it leaves the device; Event.Time is what the device's clock says
	Injected bool      // a single artefact or sensor fault; none of a body or an episode
}

// Population simulates people: each has a body of its own, reports at an interval of its own and has episodes. Equal
// options give equal readings and equal episodes, and every shard of a population has those of its customers in the whole.
type Population struct {
	options   PopulationOptions
	seed      uint64 // mixed
	interval  int64
	customers []customer
	source    currentSource
	injection injection

	active  map[int]*plan // episodes in progress, by customer
	outages outages

	// Readings are made one window of time after another: [window - length, window) is in the buffer, ordered by time.
	window, length int64
	buffer         []transmission
	emitted        int       // of the buffer
	pending        []Episode // ordered by onset, not reported yet
	dayAngle       float64   // radians of the circadian wave at the start
}

// customer is kept small: there may be ten million.
type customer struct {
	random   rand.PCG
	next     int64 // when the next reading is recorded; the body's state is the one at that time
	body     body
	change   uint32 // second at which the current episode ends or the next begins
	episodes uint32 // twice the number of past episodes, plus 1 during one
}

// currentSource lets one rand.Rand draw from the sequence of the customer at hand.
type currentSource struct{ *rand.PCG }

// NewPopulation returns the population at its start. Its error is an *OptionError in a chain where an option is out of
// its range.
func NewPopulation(options PopulationOptions) (*Population, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	options = options.complete()
	p := &Population{
		options:   options,
		seed:      mix(options.Seed),
		interval:  options.Interval.Nanoseconds(),
		customers: make([]customer, (options.Customers-options.Shard+options.Shards-1)/options.Shards),
		active:    map[int]*plan{},
		dayAngle:  angle(options.Start.Sub(dayPeak(options.Start, options.Zone)).Nanoseconds()),
	}
	p.injection = injection{anomalyRate: options.AnomalyRate, invalidRate: options.InvalidRate, random: rand.New(&p.source)}
	p.length = p.windowLength()
	for i := range p.customers {
		p.begin(i)
	}
	p.outages = newOutages(options)
	return p, nil
}

// windowLength makes visits to customers without a reading rare enough, and the buffer small beside the customers.
func (p *Population) windowLength() int64 {
	const leastReadings = 256
	enough := leastReadings * p.interval / int64(len(p.customers))
	return max(p.interval/16, min(enough, day.Nanoseconds()))
}

// begin draws a customer at the start.
func (p *Population) begin(i int) {
	c := &p.customers[i]
	c.random = *rand.NewPCG(p.seed, mix(uint64(p.id(i))))
	p.source.PCG = &c.random
	random := p.injection.random
	c.body = newBody(random, p.options.Zone != nil)
	c.next = max(0, p.phase(i)+p.jitter(random))
	p.start(i)
}

func (p *Population) id(i int) heartbeat.CustomerID {
	return heartbeat.CustomerID(1 + p.options.Shard + i*p.options.Shards)
}

// phase is where in the interval a customer reports. Multiples of the golden ratio spread any number of customers evenly.
func (p *Population) phase(i int) int64 {
	_, fraction := math.Modf(float64(p.id(i)) * (math.Phi - 1))
	return int64(fraction * float64(p.interval))
}

// jitter is how far a reading is off its regular time: up to a tenth of the interval.
func (p *Population) jitter(random *rand.Rand) int64 {
	return int64((random.Float64() - 0.5) / 5 * float64(p.interval))
}

// Readings returns all readings in the order in which they are sent, without end. Whoever stops and ranges again goes on
// where the last one stopped.
func (p *Population) Readings() iter.Seq[Reading] {
	return func(yield func(Reading) bool) {
		for {
			for p.emitted < len(p.buffer) {
				t := p.buffer[p.emitted]
				p.emitted++
				p.report(t.sent)
				if !yield(p.reading(t)) {
					return
				}
			}
			p.fill()
		}
	}
}

func (p *Population) reading(t transmission) Reading {
	return Reading{
		Event: heartbeat.Event{
			Customer: t.customer,
			Rate:     heartbeat.BPM(t.rate),
			Time:     p.options.Start.Add(time.Duration(t.recorded + t.ahead).Truncate(time.Microsecond)),
		},
		Sent:     p.options.Start.Add(time.Duration(t.sent)),
		Injected: t.injected,
	}
}

// fill makes the readings of the next window.
func (p *Population) fill() {
	p.window += p.length
	p.pending = p.outages.advance(p.window-p.length, p.window, p.pending)
	p.buffer, p.emitted = p.buffer[:0], 0
	for i := range p.customers {
		p.advance(i)
	}
	slices.SortFunc(p.buffer, func(a, b transmission) int {
		return cmp.Or(cmp.Compare(a.sent, b.sent), cmp.Compare(a.customer, b.customer), cmp.Compare(a.recorded, b.recorded))
	})
	slices.SortStableFunc(p.pending, func(a, b Episode) int {
		return cmp.Or(a.Onset.Compare(b.Onset), cmp.Compare(a.Customer, b.Customer))
	})
}

// advance takes one customer to the end of the window.
func (p *Population) advance(i int) {
	c := &p.customers[i]
	for {
		if change := int64(c.change) * 1e9; change <= c.next {
			if change >= p.window {
				return
			}
			p.changeEpisode(i)
			continue
		}
		sent, episode := c.next, (*plan)(nil)
		if c.episodes&1 != 0 {
			episode = p.active[i]
			sent = episode.sent(c.next)
		}
		if sent >= p.window {
			return
		}
		p.record(i, sent, episode)
	}
}

// record makes the reading that is due and moves the customer to the time of the next one.
func (p *Population) record(i int, sent int64, episode *plan) {
	c, natural := &p.customers[i], p.natural(i)
	t := transmission{sent: sent, recorded: c.next, customer: p.id(i), copies: 1}
	p.source.PCG = &c.random
	rate, injected := p.injection.draw()
	if t.injected = injected; !injected {
		rate = roundRate(natural, lowestRate, highestRate)
	}
	t.rate = int16(rate)
	if episode != nil {
		episode.apply(&t, natural, &c.body)
	}
	if !p.outages.lost(t.customer, sent) {
		for range t.copies {
			p.buffer = append(p.buffer, t)
		}
	}
	p.schedule(i)
}

// natural is the rate of a customer's body at the time of the next reading, without episodes.
func (p *Population) natural(i int) float64 {
	c := &p.customers[i]
	sine, cosine := math.Sincos(p.dayAngle + angle(c.next))
	return c.body.rate(sine, cosine)
}

// schedule draws the time of the next reading and takes the body there.
func (p *Population) schedule(i int) {
	c, random := &p.customers[i], p.injection.random
	phase := p.phase(i)
	slot := (c.next - phase + p.interval/2) / p.interval
	next := phase + (slot+1)*p.interval + p.jitter(random)
	c.body.step(random, time.Duration(next-c.next))
	c.next = next
}

// angle is the circadian wave's after so many nanoseconds.
func angle(nanoseconds int64) float64 {
	return 2 * math.Pi * float64(nanoseconds%day.Nanoseconds()) / float64(day.Nanoseconds())
}
