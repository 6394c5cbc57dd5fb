package report

import "slices"

// Spread is a figure over the rounds of one run.
type Spread struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Rounds []float64 `json:"rounds"` // in the order of measurement
}

// NewSpread summarises the rounds.
func NewSpread(rounds []float64) Spread {
	if len(rounds) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(rounds))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Spread{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1], Rounds: rounds}
}

// Ratios divides round by round: the machine is equally busy for both figures of one round.
func Ratios(of, by Spread) Spread {
	quotients := make([]float64, min(len(of.Rounds), len(by.Rounds)))
	for i := range quotients {
		quotients[i] = of.Rounds[i] / by.Rounds[i]
	}
	return NewSpread(quotients)
}
