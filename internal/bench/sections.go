package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"heartbeat/internal/bench/httpload"
	"heartbeat/internal/bench/procstat"
	"heartbeat/internal/bench/report"
)

// maxRate bounds the search for the rate at which the consumer falls behind.
const maxRate = 1_000_000

// measureSteady measures rate by rate.
func (r *run) measureSteady(ctx context.Context) error {
	rates := r.plan.Rates
	for i := 0; i < len(rates); i++ {
		r.progress(fmt.Sprintf("steady: %d readings a second", rates[i]))
		t, err := r.topic(ctx)
		if err != nil {
			return err
		}
		result, err := r.environment.steady(ctx, t, rates[i], r.plan.Seconds)
		if err != nil {
			return fmt.Errorf("measure %d readings a second: %w", rates[i], err)
		}
		r.report.Steady = append(r.report.Steady, result)
		last := i == len(rates)-1
		if r.plan.Saturate && last && result.KeptUp && rates[i] < maxRate {
			rates = append(rates, rates[i]*5/4)
		}
	}
	return nil
}

// The loads over HTTP: many readings a request from a few gateways, and single ones from many devices.
const (
	gateways     = 16
	gatewayBatch = 100
	devices      = 1_000
	deviceRate   = 5_000
)

// measureIngest loads heartbeat ingest, and stores what was acknowledged: it must be all, once.
func (r *run) measureIngest(ctx context.Context) (err error) {
	if r.plan.Ingest == 0 {
		return nil
	}
	db, err := r.database(ctx)
	if err != nil {
		return err
	}
	defer db.drop()
	t, err := r.topic(ctx)
	if err != nil {
		return err
	}
	url, server, err := db.serve(ctx, t, "ingest", "--metrics-address", "none")
	if err != nil {
		return err
	}
	result := &report.Ingest{Batch: gatewayBatch, Gateways: gateways, Devices: devices}
	load := httpload.Load{URL: url, Customers: r.options.Customers, Duration: time.Duration(r.plan.Ingest * float64(time.Second))}
	send := func(what string, load httpload.Load) (float64, report.Latency, error) {
		r.progress("ingest: " + what)
		sent, err := httpload.Run(ctx, load)
		t.content.Records += sent.Readings
		return sent.PerSecond, report.NewLatency(sent.Latencies), err
	}
	load.Connections, load.Batch = gateways, gatewayBatch
	result.Most, result.MostLatency, err = send("as many readings as it takes", load)
	if err == nil {
		load.PerSecond = report.IngestPerSecond / 2 / gatewayBatch
		result.Half, result.HalfLatency, err = send("half of the rate that is wanted", load)
	}
	if err == nil {
		load.Connections, load.Batch, load.PerSecond = devices, 1, deviceRate
		result.Single, result.SingleLatency, err = send("single readings of 1,000 devices", load)
	}
	result.ResidentBytes = procstat.ResidentPeak(server.Pid())
	if err := errors.Join(err, server.Stop(context.Background(), stopTime, syscall.SIGTERM)); err != nil {
		return fmt.Errorf("measure readings over HTTP: %w", err)
	}
	r.progress("ingest: storing what was acknowledged")
	if _, err := db.drain(ctx, t); err != nil {
		return err
	}
	if _, err := db.verify(ctx, t.content); err != nil {
		return fmt.Errorf("readings over HTTP: %w", err)
	}
	r.report.Ingest = result
	return nil
}

func (r *run) measureGrowth(ctx context.Context) (err error) {
	r.report.Growth, r.report.Reindexed, err = r.environment.growth(ctx, r.plan)
	return err
}

func (r *run) measureBigFleet(ctx context.Context) error {
	if r.plan.BigFleet == 0 {
		return nil
	}
	r.progress(fmt.Sprintf("drain of %d customers", r.plan.BigFleet))
	t, err := r.topic(ctx)
	if err != nil {
		return err
	}
	fleet := r.options.fleet()
	fleet.Customers = r.plan.BigFleet
	if err := r.preload(ctx, t, load{fleet: fleet, events: r.plan.BigEvents}); err != nil {
		return err
	}
	result, err := r.drain(ctx, t)
	if err != nil {
		return fmt.Errorf("measure drain of %d customers: %w", fleet.Customers, err)
	}
	r.report.BigFleet = &report.BigFleet{Customers: fleet.Customers, PerSecond: result.perSecond, ResidentBytes: result.resident, Usage: result.usage}
	return nil
}

// measureBackfill runs the live rate alone, and together with a second consumer that stores a day of history from its own topic
// into the same tables, with --background and without.
func (r *run) measureBackfill(ctx context.Context) error {
	if r.plan.BackfillRate == 0 {
		return nil
	}
	r.progress("backfill: filling the topic with a day of history")
	history, err := r.topic(ctx)
	if err != nil {
		return err
	}
	if err := r.preload(ctx, history, load{
		fleet: r.options.fleet(), events: r.plan.Backfill,
		from: time.Now().Add(-almostDay), every: almostDay / time.Duration(r.plan.Backfill),
	}); err != nil {
		return err
	}
	var alone []report.Steady
	var result [2]report.Interference // with --background, and without
	for i, options := range [...][]string{{"--background"}, nil} {
		r.progress("backfill: live readings alone")
		live, _, err := r.interference(ctx, nil)
		if err != nil {
			return fmt.Errorf("measure live readings alone: %w", err)
		}
		alone = append(alone, live)
		r.progress("backfill: together with live readings " + strings.Join(options, ""))
		live, imported, err := r.interference(ctx, history, options...)
		if err != nil {
			return fmt.Errorf("measure live readings beside a backfill: %w", err)
		}
		result[i] = report.Interference{Live: live.Latency, PerSecond: imported.perSecond}
	}
	r.report.Backfill = report.NewBackfill(r.plan.BackfillRate, alone, result[0], result[1])
	return nil
}

// almostDay is less than the topic's retention of a day: older readings are deleted before they are read.
const almostDay = 23 * time.Hour

// interference measures the live rate while another consumer with the given options drains the history, if there is one.
func (r *run) interference(ctx context.Context, history *topic, options ...string) (live report.Steady, imported drainResult, err error) {
	db, err := r.database(ctx)
	if err != nil {
		return live, imported, err
	}
	defer db.drop()
	t, err := r.topic(ctx)
	if err != nil {
		return live, imported, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	if history != nil {
		group.Go(func() (err error) {
			imported, err = db.drain(groupCtx, history, options...)
			return err
		})
	}
	group.Go(func() (err error) {
		live, err = db.steady(groupCtx, t, r.plan.BackfillRate, r.plan.Seconds)
		return err
	})
	if err := group.Wait(); err != nil {
		return live, imported, err
	}
	want := t.content
	if history != nil {
		want.Records += history.content.Records
		want.Anomalies += history.content.Anomalies
		want.Alerts += history.content.Alerts
	}
	_, err = db.verify(ctx, want)
	return live, imported, err
}
