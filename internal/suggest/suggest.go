// Package suggest derives limits for one customer from the customer's own readings, with the evidence. It sets none: a person
// decides. `heartbeat limits suggest` and the console use it.
//
// It does no I/O and knows no clock. The caller passes medians of short stretches of time, which single artefacts do not change. Its
// functions may be called by any number of goroutines. It stands beside the path of a reading: postgres/alarmstore reads the medians.
//
// The rule: the upper limit is one robust standard deviation above the range of 99.8 % of the medians, the lower limit half of one
// below it, because rates vary further upwards than downwards. Time with an alarm of a rate is left out: an illness must not
// widen the limits that should report the next one.
package suggest

import (
	"math"
	"slices"
	"time"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
)

// How much must be known.
const (
	LeastDays = 7              // days, or nights, with enough time in them
	MostDays  = 28             // how far back to look
	leastDay  = 6 * time.Hour  // of a day
	leastRest = 3 * time.Hour  // of a night
	nightFrom = 22 * time.Hour // since midnight
	nightTo   = 6 * time.Hour
)

// Night are the hours of a night as limits have them.
const Night = "22:00-06:00"

// Stretch is the median rate of a short time.
type Stretch struct {
	At  time.Time // begin
	BPM heartbeat.BPM
}

// Span is a time, [From, To).
type Span struct{ From, To time.Time }

// Evidence is what is known of a customer, by stretches.
type Evidence struct {
	Stretches int           `json:"stretches"`
	LeftOut   int           `json:"left_out"` // during alarms
	Length    time.Duration `json:"-"`
	Days      int           `json:"days"` // days or nights with enough stretches
	Lowest    heartbeat.BPM `json:"p0_1"`
	Low       heartbeat.BPM `json:"p1"`
	Median    heartbeat.BPM `json:"p50"`
	High      heartbeat.BPM `json:"p99"`
	Highest   heartbeat.BPM `json:"p99_9"`
	Spread    float64       `json:"robust_sd"` // interquartile range / 1.349
}

// Suggestion are limits, for all day or for some hours of it.
type Suggestion struct {
	Low       heartbeat.BPM `json:"low"`
	High      heartbeat.BPM `json:"high"`
	Hours     string        `json:"hours,omitzero"`
	UTCOffset int           `json:"utc_offset,omitzero"` // of these hours, in minutes eastwards
	Enough    bool          `json:"enough"`              // false: Low and High are zero, the evidence says what is missing
	Bounded   bool          `json:"bounded"`             // at the end of the range that people may set
	Evidence  Evidence      `json:"evidence"`
}

// Suggested are the suggestions for a customer, beside the limits in force.
type Suggested struct {
	Customer    string        `json:"customer_id"`
	From        time.Time     `json:"from"`
	To          time.Time     `json:"to"`
	LowInForce  heartbeat.BPM `json:"low_in_force"`
	HighInForce heartbeat.BPM `json:"high_in_force"`
	MinutesEach int           `json:"stretch_minutes"` // of the stretches in the evidence
	Suggestions []Suggestion  `json:"suggestions"`
}

// Limits suggests limits for the whole day and for the night. utcOffset is that of the customer's midnight, in minutes.
func Limits(stretches []Stretch, length time.Duration, alarms []Span, utcOffset int) []Suggestion {
	zone := time.FixedZone("", utcOffset*60)
	day, night := collector{length: length}, collector{length: length}
	for _, s := range stretches {
		local := s.At.In(zone)
		since := time.Duration(local.Hour())*time.Hour + time.Duration(local.Minute())*time.Minute
		left := slices.ContainsFunc(alarms, func(a Span) bool { return a.From.Before(s.At.Add(length)) && a.To.After(s.At) })
		day.add(s, local, left)
		if since >= nightFrom || since < nightTo {
			night.add(s, local.Add(-12*time.Hour), left) // a night is of the day on which it begins
		}
	}
	all, rest := day.suggest(leastDay), night.suggest(leastRest)
	rest.Hours, rest.UTCOffset = Night, utcOffset
	return []Suggestion{all, rest}
}

// collector collects the stretches that count.
type collector struct {
	length  time.Duration
	rates   []heartbeat.BPM
	perDay  map[string]time.Duration
	leftOut int
}

func (c *collector) add(s Stretch, local time.Time, leftOut bool) {
	if leftOut {
		c.leftOut++
		return
	}
	if c.perDay == nil {
		c.perDay = map[string]time.Duration{}
	}
	c.rates = append(c.rates, s.BPM)
	c.perDay[local.Format(time.DateOnly)] += c.length
}

func (c *collector) suggest(leastADay time.Duration) Suggestion {
	e := Evidence{Stretches: len(c.rates), LeftOut: c.leftOut, Length: c.length}
	for _, known := range c.perDay {
		if known >= leastADay {
			e.Days++
		}
	}
	if len(c.rates) == 0 {
		return Suggestion{Evidence: e}
	}
	slices.Sort(c.rates)
	at := func(share float64) heartbeat.BPM { return c.rates[int(share*float64(len(c.rates)-1)+0.5)] }
	e.Lowest, e.Low, e.Median, e.High, e.Highest = at(0.001), at(0.01), at(0.5), at(0.99), at(0.999)
	e.Spread = math.Round(10*float64(at(0.75)-at(0.25))/1.349) / 10
	if e.Days < LeastDays {
		return Suggestion{Evidence: e}
	}
	wanted := detect.Limits{
		Low:  heartbeat.BPM(math.Floor(float64(e.Lowest) - e.Spread/2)),
		High: heartbeat.BPM(5 * math.Ceil((float64(e.Highest)+e.Spread)/5)),
	}
	limits := wanted.Clamp()
	return Suggestion{Low: limits.Low, High: limits.High, Enough: true, Bounded: limits != wanted, Evidence: e}
}
