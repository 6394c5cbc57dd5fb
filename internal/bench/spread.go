package bench

import "slices"

// Spread is a figure over the rounds of one run.
type Spread struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Rounds []float64 `json:"rounds"` // in the order in which they were measured
}

func spreadOf(rounds []float64) Spread {
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

// ratios divides round by round: two figures of one round saw the same machine.
func ratios(of, by Spread) Spread {
	quotients := make([]float64, min(len(of.Rounds), len(by.Rounds)))
	for i := range quotients {
		quotients[i] = of.Rounds[i] / by.Rounds[i]
	}
	return spreadOf(quotients)
}
