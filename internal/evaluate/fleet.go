package evaluate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/simulate"
)

// Fleet says which simulated people are judged, and for how long.
type Fleet struct {
	Customers   int            `json:"customers"`
	Duration    time.Duration  `json:"-"`
	Interval    time.Duration  `json:"-"` // between two readings of a customer
	AnomalyRate float64        `json:"anomaly_rate"`
	InvalidRate float64        `json:"invalid_rate"`
	LostRate    float64        `json:"lost_rate"` // share of readings that get lost, one by one
	Seed        uint64         `json:"seed"`
	Episodes    simulate.Rates `json:"-"`
}

// fleetStart is when every simulation begins.
var fleetStart = time.Date(2026, 2, 20, 0, 0, 0, 0, time.UTC)

func (f Fleet) period() period {
	return period{detect.TimeOf(fleetStart), detect.TimeOf(fleetStart.Add(f.Duration))}
}

// population has one customer: each is simulated and judged for the whole time before the next.
func (f Fleet) population(customer int) simulate.PopulationOptions {
	return simulate.PopulationOptions{
		Customers: f.Customers, AnomalyRate: f.AnomalyRate, InvalidRate: f.InvalidRate, Seed: f.Seed,
		Interval: f.Interval, Start: fleetStart, Episodes: f.Episodes, Shard: customer, Shards: f.Customers,
	}
}

// outcome is what all variants made of a fleet.
type outcome struct {
	fleet    Fleet
	readings int64
	scores   []*score // by variant
}

// run judges a fleet with some variants, on all processors. done is called after each customer, by one goroutine at a time.
func (f Fleet) run(ctx context.Context, variants []Variant, done func(customers int)) (*outcome, error) {
	if err := f.population(0).Validate(); err != nil {
		return nil, err
	}
	var (
		mu       sync.Mutex // guards what follows
		next     int
		finished int
		total    = newOutcome(f, len(variants))
		failure  error
		workers  sync.WaitGroup
	)
	take := func() (customer int, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1, next <= f.Customers && failure == nil
	}
	for range min(runtime.GOMAXPROCS(0), f.Customers) {
		workers.Go(func() {
			w, err := newFleetWorker(f, variants)
			for err == nil {
				customer, ok := take()
				if !ok {
					break
				}
				if err = w.customer(ctx, customer); err == nil {
					mu.Lock()
					finished++
					done(finished)
					mu.Unlock()
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil && failure == nil {
				failure = err
			}
			if w != nil {
				total.add(w.outcome)
			}
		})
	}
	workers.Wait()
	return total, failure
}

func newOutcome(f Fleet, variants int) *outcome {
	o := &outcome{fleet: f, scores: make([]*score, variants)}
	for i := range o.scores {
		o.scores[i] = newScore()
	}
	return o
}

func (o *outcome) add(other *outcome) {
	o.readings += other.readings
	for i := range o.scores {
		o.scores[i].add(other.scores[i])
	}
}

// fleetWorker judges some of the customers of a fleet.
type fleetWorker struct {
	*outcome
	subjects []subject
	episodes []simulate.Episode
}

func newFleetWorker(f Fleet, variants []Variant) (*fleetWorker, error) {
	subjects, err := newSubjects(variants)
	if err != nil {
		return nil, err
	}
	return &fleetWorker{outcome: newOutcome(f, len(variants)), subjects: subjects}, nil
}

// cancelEvery is after how many readings a worker looks whether it should stop.
const cancelEvery = 1 << 14

func (w *fleetWorker) customer(ctx context.Context, number int) error {
	w.episodes = w.episodes[:0]
	options := w.fleet.population(number)
	options.Truth = func(e simulate.Episode) {
		if e.Customer != 0 { // 0: an outage, which belongs to no customer
			w.episodes = append(w.episodes, e)
		}
	}
	population, err := simulate.NewPopulation(options)
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	for i := range w.subjects {
		w.subjects[i].begin()
	}
	end, lost := fleetStart.Add(w.fleet.Duration), rand.New(rand.NewPCG(w.fleet.Seed, uint64(number)))
	offset := int64(0)
	for reading := range population.Readings() {
		if !reading.Sent.Before(end) {
			break
		}
		if offset++; offset%cancelEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if w.fleet.LostRate > 0 && lost.Float64() < w.fleet.LostRate {
			continue
		}
		w.step(reading, offset)
	}
	for i := range w.subjects {
		w.scores[i].judged += w.fleet.period().length()
		w.scores[i].judge(w.fleet.period(), w.episodes, w.subjects[i].alarms.All)
	}
	return ctx.Err()
}

func (w *fleetWorker) step(reading simulate.Reading, offset int64) {
	w.readings++
	input := inputOf(reading, offset)
	for i := range w.subjects {
		w.subjects[i].step(input)
	}
}

// inputOf is a reading as the detector gets it.
func inputOf(reading simulate.Reading, offset int64) detect.Reading {
	input := detect.Reading{
		Event:  detect.TimeOf(reading.Time),
		Kafka:  detect.Time(reading.Sent.UnixMilli()) * 1000, // Kafka has milliseconds
		Offset: offset,
	}
	input.Class, input.BPM = heartbeat.Classify(float64(reading.Rate))
	return input
}
