package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"heartbeat/internal/bench/report"
)

// detectionOff is the option of the consumer that the other side of the comparison runs with.
const detectionOff = "--no-detection"

// measureDetection drains one topic with detection and without, alternately. Its customers report once a second with the contract's
// injections, so that conditions begin and end while it is drained.
func (r *run) measureDetection(ctx context.Context) error {
	if r.plan.Detection == 0 {
		return nil
	}
	r.progress("detection: filling the topic")
	t, err := r.topic(ctx)
	if err != nil {
		return err
	}
	every := min(time.Second/time.Duration(r.options.Customers), almostDay/time.Duration(r.plan.Events))
	began := time.Now().Add(-time.Duration(r.plan.Events) * every)
	if err := r.preload(ctx, t, load{fleet: r.options.fleet(), events: r.plan.Events, from: began, every: every}); err != nil {
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

// drainAlarms drains the topic into an empty database and returns how many events of alarms that stored. Alarms without detection, or
// none with it, make the comparison void.
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
	if off := slices.Contains(options, detectionOff); off != (events == 0) {
		return result, events, fmt.Errorf("count events of alarms: %d are stored with the options %v: the figures of this run are void", events, options)
	}
	return result, events, nil
}
