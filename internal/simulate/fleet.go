package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"heartbeat/internal/heartbeat"
)

// Fleet draws events of customers who have nothing in common with each other or with their own past.
type Fleet struct {
	options   Options
	random    *rand.Rand
	injection injection
	turn      int // of the next event, when customers take turns
}

// New returns the fleet at the start of its sequence. Its error is an *OptionError in a chain.
func New(options Options) (*Fleet, error) {
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("simulate fleet: %w", err)
	}
	random := rand.New(rand.NewPCG(options.Seed, uint64(options.Worker)))
	return &Fleet{
		options:   options,
		random:    random,
		injection: injection{anomalyRate: options.AnomalyRate, invalidRate: options.InvalidRate, random: random},
		turn:      options.Worker,
	}, nil
}

// Next draws the next event and dates it.
func (f *Fleet) Next(at time.Time) heartbeat.Event {
	return heartbeat.Event{
		Customer: heartbeat.CustomerID(1 + f.customer()),
		Rate:     f.rate(),
		Time:     at,
	}
}

func (f *Fleet) customer() int {
	if !f.options.InTurn {
		return f.random.IntN(f.options.Customers)
	}
	customer := f.turn % f.options.Customers
	f.turn += max(f.options.Workers, 1)
	return customer
}

// rate draws an injected rate or a normal one.
func (f *Fleet) rate() heartbeat.BPM {
	if rate, injected := f.injection.draw(); injected {
		return rate
	}
	return normalRate(f.random.NormFloat64())
}

// normalRate is the rate that many standard deviations from the mean of N(75, 15). What lies outside the normal range
// comes to lie on its edge.
func normalRate(deviations float64) heartbeat.BPM {
	return heartbeat.BPM(min(max(math.Round(75+15*deviations), 40), 180))
}
