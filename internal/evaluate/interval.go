package evaluate

import "math"

// normal95 is the two-sided 95 % quantile of the normal distribution.
const normal95 = 1.959964

// Share is a part of a whole with its 95 % interval by Wilson.
type Share struct {
	Count int     `json:"count"`
	Of    int     `json:"of"`
	Share float64 `json:"share"` // 0 of nothing
	Least float64 `json:"least"`
	Most  float64 `json:"most"`
}

func shareOf(count, of int) Share {
	if of == 0 {
		return Share{Most: 1}
	}
	n, p := float64(of), float64(count)/float64(of)
	const z2 = normal95 * normal95
	middle, spread := p+z2/(2*n), normal95*math.Sqrt(p*(1-p)/n+z2/(4*n*n))
	return Share{
		Count: count, Of: of, Share: p, Least: max((middle-spread)/(1+z2/n), 0), Most: min((middle+spread)/(1+z2/n), 1),
	}
}

// Rate is how often something happens in a customer-day, with its 95 % interval of the Poisson distribution.
type Rate struct {
	Count  int     `json:"count"`
	PerDay float64 `json:"per_customer_day"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

// rateOf uses Byar's approximation of the exact interval, which is right to two digits from a count of 1 on (Breslow and
// Day 1987).
func rateOf(count int, days float64) Rate {
	if days == 0 {
		return Rate{}
	}
	n := float64(count)
	least, above := 0.0, n+1
	if count > 0 {
		least = n * math.Pow(max(1-1/(9*n)-normal95/(3*math.Sqrt(n)), 0), 3)
	}
	most := above * math.Pow(1-1/(9*above)+normal95/(3*math.Sqrt(above)), 3)
	return Rate{Count: count, PerDay: n / days, Least: least / days, Most: most / days}
}
