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
	options Options
	random  *rand.Rand
	turn    int // of the next event, when customers take turns
}

// New returns the fleet at the start of its sequence. Its error is an *OptionError in a chain.
func New(options Options) (*Fleet, error) {
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("simulate fleet: %w", err)
	}
	return &Fleet{
		options: options,
		random:  rand.New(rand.NewPCG(options.Seed, uint64(options.Worker))),
		turn:    options.Worker,
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

// rate draws a sensor fault or, among all other events, a cardiac anomaly or a normal rate: never two at once.
func (f *Fleet) rate() heartbeat.BPM {
	switch {
	case f.random.Float64() < f.options.InvalidRate:
		return f.sensorFault()
	case f.random.Float64() < f.options.AnomalyRate:
		return f.anomaly()
	default:
		return normalRate(f.random.NormFloat64())
	}
}

// sensorFault draws one of the values that broken and disconnected sensors send, all with the same probability.
func (f *Fleet) sensorFault() heartbeat.BPM {
	return [...]heartbeat.BPM{-1, 0, 301, 400}[f.random.IntN(4)]
}

// anomaly draws a heart that is too slow or one that is too fast, with the same probability.
func (f *Fleet) anomaly() heartbeat.BPM {
	if f.random.IntN(2) == 0 {
		return f.uniform(15, 39)
	}
	return f.uniform(181, 220)
}

func (f *Fleet) uniform(least, most heartbeat.BPM) heartbeat.BPM {
	return least + heartbeat.BPM(f.random.IntN(int(most-least)+1))
}

// normalRate is the rate that many standard deviations from the mean of N(75, 15). What lies outside the normal range
// comes to lie on its edge.
func normalRate(deviations float64) heartbeat.BPM {
	return heartbeat.BPM(min(max(math.Round(75+15*deviations), 40), 180))
}
