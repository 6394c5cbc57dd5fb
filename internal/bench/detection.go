package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"heartbeat/internal/bench/report"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/simulate"
)

// detectionOff is the option of the consumer that the other side of the comparison runs with.
const detectionOff = "--no-detection"

// reportEvery is the interval of the people in the topic that is drained with detection and without.
const reportEvery = 5 * time.Second

// measureDetection drains one topic of people, with the contract's injections, with detection and without, alternately.
func (r *run) measureDetection(ctx context.Context) error {
	if r.plan.Detection == 0 {
		return nil
	}
	r.progress("detection: filling the topic")
	t, err := r.topic(ctx)
	if err != nil {
		return err
	}
	if err := r.preloadPeople(ctx, t); err != nil {
		return err
	}
	var with, without []throughput
	result := &report.Detection{}
	for round := range r.plan.Detection {
		r.progress(fmt.Sprintf("detection: round %d of %d", round+1, r.plan.Detection))
		for i := range 2 {
			if detects := (i+round)%2 == 0; detects {
				drained, events, err := r.drainAlarms(ctx, t)
				if err != nil {
					return fmt.Errorf("measure drain with detection: %w", err)
				}
				with, result.AlarmEvents = append(with, drained.throughput), events
			} else {
				drained, _, err := r.drainAlarms(ctx, t, detectionOff)
				if err != nil {
					return fmt.Errorf("measure drain without detection: %w", err)
				}
				without = append(without, drained.throughput)
			}
		}
	}
	result.With, result.Without = rateOf(with), rateOf(without)
	result.Ratio = report.Ratios(result.With.PerSecond, result.Without.PerSecond)
	r.report.Detection = result
	r.progress("detection: from a reading to its alarm")
	return r.measureAlarmDelay(ctx, result)
}

// preloadPeople fills the topic with what the simulated people of the default model send, up to now.
func (r *run) preloadPeople(ctx context.Context, t *topic) error {
	fleet := r.options.fleet()
	span := time.Duration(r.plan.Events) * reportEvery / time.Duration(fleet.Customers)
	people, err := simulate.NewPopulation(simulate.PopulationOptions{
		Customers: fleet.Customers, AnomalyRate: fleet.AnomalyRate, InvalidRate: fleet.InvalidRate, Seed: fleet.Seed,
		Interval: reportEvery, Start: time.Now().Add(-span), Episodes: simulate.DefaultRates(),
	})
	if err != nil {
		return err
	}
	sender, err := producer.New(ctx, producer.Config{Config: r.kafka(t.name)})
	if err != nil {
		return err
	}
	for reading := range people.Readings() {
		if t.offsets() == r.plan.Events || sender.SendAt(reading.Event, reading.Sent) != nil {
			break // Close returns the error
		}
		if t.count(reading.Rate); ctx.Err() != nil {
			sender.Abandon()
			break
		}
	}
	return errors.Join(sender.Close(), ctx.Err())
}

// drainAlarms drains the topic into an empty database and returns how many events of alarms that stored. Alarms without detection make
// the comparison void.
func (e *environment) drainAlarms(ctx context.Context, t *topic, options ...string) (result drainResult, events int64, err error) {
	db, err := e.database(ctx)
	if err != nil {
		return result, 0, err
	}
	defer db.drop()
	if result, err = db.drain(ctx, t, options...); err != nil {
		return result, 0, err
	}
	if err := db.examine(ctx, t.content, &result); err != nil {
		return result, 0, err
	}
	if events, err = db.probe.AlarmEvents(ctx); err != nil {
		return result, 0, err
	}
	if events > 0 && slices.Contains(options, detectionOff) {
		return result, events, fmt.Errorf("count events of alarms: %d are stored with %s: the figures of this run are void", events, detectionOff)
	}
	return result, events, nil
}
