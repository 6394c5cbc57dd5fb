package simulator_test

import (
	"testing"
	"time"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/simulate"
	"heartbeat/internal/simulator"
)

// TestPopulationOfUpHasOpenAlarmsWithinAMinute feeds the default population of `up` to the detector.
func TestPopulationOfUpHasOpenAlarmsWithinAMinute(t *testing.T) {
	t.Parallel()
	const customers, span = 10_000, 10 * time.Minute
	start := time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC)
	labelled := map[heartbeat.CustomerID]bool{}
	population, err := simulate.NewPopulation(simulate.PopulationOptions{
		Customers: customers, AnomalyRate: 0.05, InvalidRate: 0.005, Seed: 42,
		Interval: simulator.CustomerInterval(customers, 2000), Start: start, Episodes: simulate.DefaultRates(),
		Truth: func(e simulate.Episode) {
			if e.Expected == simulate.RateHigh || e.Expected == simulate.RateLow {
				labelled[e.Customer] = true
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	detector, err := detect.New(detect.DefaultSettings(), detect.Source{})
	if err != nil {
		t.Fatal(err)
	}
	states := make([]detect.State, customers+1)
	open := map[heartbeat.CustomerID]bool{}
	falseAlarms, minutePassed := 0, false
	var transitions []detect.Transition
	offset := int64(0)
	for reading := range population.Readings() {
		after := reading.Sent.Sub(start)
		if after >= time.Minute && !minutePassed {
			minutePassed = true
			rightly := 0
			for customer := range open {
				if labelled[customer] {
					rightly++
				}
			}
			if rightly < 3 || len(open) > 12 {
				t.Errorf("%d customers have an open HIGH alarm after a minute, %d of them in an episode: want 3 to 12", len(open), rightly)
			}
		}
		if after >= span {
			break
		}
		stored := detect.Reading{Event: detect.TimeOf(reading.Time), Kafka: detect.TimeOf(reading.Sent), Offset: offset}
		stored.Class, stored.BPM = heartbeat.Classify(float64(reading.Rate))
		offset++
		transitions = detector.Step(&states[reading.Customer], stored, detect.DefaultLimits(), transitions[:0])
		for _, transition := range transitions {
			if transition.Priority != detect.High {
				continue
			}
			if transition.Kind == detect.Clear {
				delete(open, reading.Customer)
				continue
			}
			open[reading.Customer] = true
			if !labelled[reading.Customer] {
				falseAlarms++
			}
		}
	}
	const budget = 0.05 // HIGH a customer and day
	if most := budget * customers * span.Hours() / 24; float64(falseAlarms) > most {
		t.Errorf("%d HIGH alarms without an episode within %v, want at most %.1f", falseAlarms, span, most)
	}
}
