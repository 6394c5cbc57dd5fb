package simulate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rates are how many episodes of each kind there are a day: for each customer, of GatewayOutage for the whole fleet.
type Rates [kinds]float64

// maxPerDay bounds the rate of one kind.
const maxPerDay = 1000

// DefaultRates are those of a large healthy fleet: of 10,000 customers about five have a sustained tachycardia or
// bradycardia at any time.
func DefaultRates() Rates {
	return Rates{
		Exercise: 1, Tachycardia: 0.05, Bradycardia: 0.05, BriefExcursion: 0.5, Fever: 0.01, ArtefactBurst: 0.05,
		CadenceLock: 0.2, StuckValue: 0.01, DropOut: 0.05, DeviceReset: 0.1, Duplicate: 0.1, LateUpload: 0.01, ClockAhead: 0.05,
		GatewayOutage: 2,
	}
}

// ParseRates reads a list such as "tachycardia=0.1,exercise=2", which changes single rates of the defaults. A leading
// "none" starts from no episodes instead.
func ParseRates(text string, defaults Rates) (Rates, error) {
	rates := defaults
	if strings.TrimSpace(text) == "" {
		return rates, nil
	}
	for i, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		if part == "none" && i == 0 {
			rates = Rates{}
			continue
		}
		name, number, found := strings.Cut(part, "=")
		if !found {
			return Rates{}, fmt.Errorf("%q: want KIND=NUMBER, such as tachycardia=0.1, or none at the start", part)
		}
		kind, err := parseKind(name)
		if err != nil {
			return Rates{}, err
		}
		rate, err := strconv.ParseFloat(number, 64)
		if err != nil || !(rate >= 0 && rate <= maxPerDay) {
			return Rates{}, fmt.Errorf("%s=%s: want a number a day, 0 to %d", name, number, maxPerDay)
		}
		rates[kind] = rate
	}
	return rates, rates.validate()
}

// validate refuses rates that leave a customer no time between episodes.
func (r Rates) validate() error {
	for kind, rate := range r {
		if !(rate >= 0 && rate <= maxPerDay) {
			return fmt.Errorf("%s=%v: want a number a day, 0 to %d", Kind(kind), rate, maxPerDay)
		}
	}
	if busy := r.busy(); busy > 1 {
		return fmt.Errorf("the episodes of a customer would take %.1f hours a day, with %v after each: want at most 24", 24*busy, restTime)
	}
	if busy := r[GatewayOutage] * (meanSeconds(GatewayOutage) + restTime.Seconds()) / day.Seconds(); busy > 1 {
		return fmt.Errorf("%s=%v: outages would take %.1f hours a day, with %v after each: want at most 24",
			GatewayOutage, r[GatewayOutage], 24*busy, restTime)
	}
	return nil
}

// busy is the share of a customer's time that episodes and the rests after them take.
func (r Rates) busy() float64 {
	seconds := 0.0
	for kind := range GatewayOutage {
		seconds += r[kind] * (meanSeconds(kind) + restTime.Seconds())
	}
	return seconds / day.Seconds()
}

// perCustomer is how many episodes a customer has a day.
func (r Rates) perCustomer() float64 {
	total := 0.0
	for kind := range GatewayOutage {
		total += r[kind]
	}
	return total
}

const day = 24 * time.Hour
