package simulate

import (
	"fmt"
	"time"
)

// PopulationOptions say what a population is like.
type PopulationOptions struct {
	Customers   int     // as in Options
	AnomalyRate float64 // as in Options: single artefacts
	InvalidRate float64 // as in Options: single sensor faults
	Seed        uint64

	Interval time.Duration  // between two readings of a customer, MinInterval to MaxInterval
	Start    time.Time      // when the simulation begins
	Zone     *time.Location // everybody lives by this time zone's day; nil: phases of the day are spread evenly
	Episodes Rates          // zero: none
	Truth    func(Episode)  // called for each episode before the first reading sent after its onset, in order; nil: nowhere

	// Shard of Shards has every Shards-th customer; 0 of 0 has all. Gateway outages are reported by shard 0.
	Shard, Shards int
}

// The limits of a customer's interval.
const (
	MinInterval = time.Millisecond
	MaxInterval = 366 * 24 * time.Hour
)

// The options of a population that can be out of their range, besides those of a fleet.
const (
	Interval Option = "interval of a customer"
	Shard    Option = "shard"
)

func (o PopulationOptions) complete() PopulationOptions {
	o.Shards = max(o.Shards, 1)
	o.Start = o.Start.Truncate(time.Microsecond) // what goes over the wire
	return o
}

// Validate returns an *OptionError in a chain where an option is out of its range.
func (o PopulationOptions) Validate() error {
	if err := o.complete().validate(); err != nil {
		return fmt.Errorf("simulate population: %w", err)
	}
	return nil
}

func (o PopulationOptions) validate() error {
	fleet := Options{Customers: o.Customers, AnomalyRate: o.AnomalyRate, InvalidRate: o.InvalidRate}
	if err := fleet.validate(); err != nil {
		return err
	}
	if err := o.Episodes.validate(); err != nil {
		return fmt.Errorf("episodes a day %w", err)
	}
	switch {
	case o.Interval < MinInterval || o.Interval > MaxInterval:
		return &OptionError{Interval, o.Interval, fmt.Sprintf("%v to %v", MinInterval, MaxInterval)}
	case o.Shard < 0 || o.Shard >= min(o.Shards, o.Customers):
		return &OptionError{Shard, o.Shard, fmt.Sprintf("0 to %d", min(o.Shards, o.Customers)-1)}
	}
	return nil
}
