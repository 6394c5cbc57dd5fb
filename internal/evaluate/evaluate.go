package evaluate

import (
	"context"
	"fmt"
	"time"

	"heartbeat/internal/simulate"
)

// Options say what is measured.
type Options struct {
	Fleet  Fleet
	Parts  bool // also with one part of the detector changed at a time, on the same readings
	Delays bool // also with other delays before a raise, on the same readings
	Sweeps bool // also fleets with other intervals, artefacts and losses

	Progress func(what string, done, all int) // customers, or hours; called by one goroutine at a time; nil: none
}

// Validate names what a fleet cannot have.
func (o Options) Validate() error {
	if o.Fleet.Duration < time.Hour || o.Fleet.Duration > 366*24*time.Hour {
		return fmt.Errorf("duration %v: want 1h to 8784h", o.Fleet.Duration)
	}
	return o.Fleet.population(0).Validate()
}

// Result is what was measured.
type Result struct {
	Fleet    FleetResult    `json:"fleet"`
	Targets  []Target       `json:"targets"`
	Detector Judged         `json:"detector"`
	Rule     Judged         `json:"per_reading"` // each anomalous reading is an alarm
	Kinds    []KindResult   `json:"kinds"`       // of episodes
	Outside  []Count        `json:"false_outside_episodes"`
	Silence  *SilenceResult `json:"silence"`
	Parts    []Judged       `json:"parts,omitempty"`
	Delays   []Judged       `json:"delays,omitempty"`
	Sweeps   []Sweep        `json:"sweeps,omitempty"`
}

// FleetResult says who was judged.
type FleetResult struct {
	Fleet
	Hours           float64 `json:"hours"`
	IntervalSeconds float64 `json:"interval_seconds"`
	Readings        int64   `json:"readings"`
}

// Sweep is one property of the fleet at several values.
type Sweep struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// Point is a fleet of a sweep.
type Point struct {
	Value    string      `json:"value"`
	Fleet    FleetResult `json:"fleet"`
	Detector Judged      `json:"detector"`
	Rule     Judged      `json:"per_reading"`
}

// Run measures. It ends early with the context's error.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	variants := append([]Variant{}, basicVariants...)
	parts := 0
	if o.Parts {
		parts = len(ablations())
		variants = append(variants, ablations()...)
	}
	if o.Delays {
		variants = append(variants, onDelays()...)
	}
	outcome, err := o.run(ctx, "fleet", o.Fleet, variants)
	if err != nil {
		return nil, err
	}
	judged := outcome.judged(variants)
	result := &Result{
		Fleet: outcome.result(), Detector: judged[0], Rule: judged[1], Parts: judged[2 : 2+parts], Delays: judged[2+parts:],
		Kinds: kindResults(outcome.scores[0]), Outside: counts(outcome.scores[0].elsewhere),
	}
	if result.Silence, err = o.silence(ctx); err != nil {
		return nil, err
	}
	result.Targets = result.targets()
	if o.Sweeps {
		err = o.sweep(ctx, result)
	}
	return result, err
}

func (o Options) run(ctx context.Context, what string, fleet Fleet, variants []Variant) (*outcome, error) {
	return fleet.run(ctx, variants, func(done int) {
		if o.Progress != nil {
			o.Progress(what, done, fleet.Customers)
		}
	})
}

func (o *outcome) result() FleetResult {
	return FleetResult{
		Fleet: o.fleet, Hours: o.fleet.Duration.Hours(), IntervalSeconds: o.fleet.Interval.Seconds(), Readings: o.readings,
	}
}

func (o *outcome) judged(variants []Variant) []Judged {
	judged := make([]Judged, len(variants))
	for i := range variants {
		judged[i] = o.scores[i].result(variants[i].Name, variants[i].Title)
	}
	return judged
}

// sweepShare bounds the readings of a point of a sweep by those of the fleet itself.
const sweepShare = 12

// sweptEpisodes are so frequent that a small fleet has enough of them.
const sweptEpisodes = 0.5 // a day, of tachycardia and of bradycardia

// sweep measures smaller fleets that differ from the fleet in one property.
func (o Options) sweep(ctx context.Context, result *Result) error {
	base := o.Fleet
	base.Episodes[simulate.Tachycardia] = max(sweptEpisodes, base.Episodes[simulate.Tachycardia])
	base.Episodes[simulate.Bradycardia] = max(sweptEpisodes, base.Episodes[simulate.Bradycardia])
	perSecond := float64(base.Customers) / base.Interval.Seconds() / sweepShare // readings of a point, in simulated time
	for _, s := range sweeps {
		sweep := Sweep{Name: s.name}
		for _, value := range s.values {
			fleet := base
			text := s.set(&fleet, value)
			fleet.Customers = min(max(int(perSecond*fleet.Interval.Seconds()), 2), base.Customers)
			outcome, err := o.run(ctx, s.name+" "+text, fleet, basicVariants)
			if err != nil {
				return fmt.Errorf("%s %s: %w", s.name, text, err)
			}
			judged := outcome.judged(basicVariants)
			sweep.Points = append(sweep.Points, Point{Value: text, Fleet: outcome.result(), Detector: judged[0], Rule: judged[1]})
		}
		result.Sweeps = append(result.Sweeps, sweep)
	}
	return nil
}

// sweeps are the properties, with how a value is set and called.
var sweeps = []struct {
	name   string
	values []float64
	set    func(*Fleet, float64) string
}{
	{"interval", []float64{1, 2, 5, 10, 30, 60, 120, 300}, func(f *Fleet, seconds float64) string {
		f.Interval = time.Duration(seconds * float64(time.Second))
		return shortDuration(f.Interval)
	}},
	{"artefacts", []float64{0, 0.01, 0.025, 0.05, 0.075, 0.1}, func(f *Fleet, share float64) string {
		f.AnomalyRate, f.InvalidRate = share, share/10
		return percent(share)
	}},
	{"lost readings", []float64{0, 0.1, 0.25, 0.5}, func(f *Fleet, share float64) string {
		f.LostRate = share
		return percent(share)
	}},
}

// shortDuration is such as 5 s or 2 min.
func shortDuration(d time.Duration) string {
	if d >= time.Minute && d%time.Minute == 0 {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%g s", d.Seconds())
}

func percent(share float64) string { return fmt.Sprintf("%g %%", 100*share) }
