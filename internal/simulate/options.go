package simulate

import "fmt"

// MaxCustomers is the largest fleet there can be.
const MaxCustomers = 10_000_000

// Options say what a fleet is like.
type Options struct {
	Customers   int     // how many there are, 1 to MaxCustomers
	AnomalyRate float64 // share of cardiac anomalies among the events that are no sensor faults, 0 to 1
	InvalidRate float64 // share of sensor faults among all events, 0 to 1
	Seed        uint64
	Worker      int // tells apart the sequences that several workers draw from one seed

	// InTurn lets customers take turns rather than draws them, so that everybody has a reading at even intervals. Workers
	// is how many fleets share the turns, each with a Worker number below it; 0 is one.
	InTurn  bool
	Workers int
}

// Option names a field of Options in words that a user knows.
type Option string

// The options that can be out of their range.
const (
	Customers   Option = "customer pool size"
	AnomalyRate Option = "anomaly injection rate"
	InvalidRate Option = "invalid injection rate"
	Worker      Option = "worker number"
)

// OptionError says which option is out of its range. A caller that knows where the value came from can name that instead.
type OptionError struct {
	Option Option
	Value  any
	Want   string // the range, such as "0 to 1"
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("%s %v: want %s", e.Option, e.Value, e.Want)
}

func (o Options) validate() error {
	switch {
	case o.Customers < 1 || o.Customers > MaxCustomers:
		return &OptionError{Customers, o.Customers, fmt.Sprintf("1 to %d", MaxCustomers)}
	case !isShare(o.AnomalyRate):
		return &OptionError{AnomalyRate, o.AnomalyRate, "0 to 1"}
	case !isShare(o.InvalidRate):
		return &OptionError{InvalidRate, o.InvalidRate, "0 to 1"}
	case o.Worker < 0:
		return &OptionError{Worker, o.Worker, "0 or more"}
	case o.InTurn && o.Worker >= max(o.Workers, 1):
		return &OptionError{Worker, o.Worker, fmt.Sprintf("below %d, the number of workers", max(o.Workers, 1))}
	default:
		return nil
	}
}

// isShare also refuses NaN.
func isShare(rate float64) bool { return rate >= 0 && rate <= 1 }
