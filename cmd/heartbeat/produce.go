package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/app"
	"heartbeat/internal/kafka"
)

type produceCommand struct {
	kafkaFlags     `group:"Kafka"`
	simulatorFlags `group:"Simulator"`

	Workers     int               `env:"PRODUCER_WORKERS" default:"1" group:"Simulator" help:"Workers, each with its own sequence (${env}; ${default})."`
	Interval    float64           `env:"GENERATION_INTERVAL_SECONDS" default:"0.5" placeholder:"SECONDS" group:"Simulator" help:"Between two events of a worker (${env}; ${default})."`
	Rate        float64           `placeholder:"N" group:"Simulator" help:"Events a second, of all workers together, instead of the interval."`
	MaxEvents   int64             `placeholder:"N" group:"Simulator" help:"End after so many events."`
	Compression kafka.Compression `default:"zstd" placeholder:"CODEC" group:"Kafka" help:"zstd, lz4, snappy, gzip or none (${default})."`
	Ledger      string            `placeholder:"FILE" help:"Write a JSON line for each acknowledged event, for tests."`
}

// Validate refuses values that make no stream.
func (c produceCommand) Validate() error {
	if err := c.simulatorFlags.Validate(); err != nil {
		return err
	}
	switch {
	case c.Workers < 1:
		return fmt.Errorf("PRODUCER_WORKERS %d: want 1 or more", c.Workers)
	case !(c.Interval > 0) || math.IsInf(c.Interval, 0):
		return fmt.Errorf("GENERATION_INTERVAL_SECONDS %v: want more than 0", c.Interval)
	case !(c.Rate >= 0) || math.IsInf(c.Rate, 0):
		return fmt.Errorf("--rate %v: want 0 or more", c.Rate)
	case c.MaxEvents < 0:
		return fmt.Errorf("--max-events %d: want 0 or more", c.MaxEvents)
	}
	return nil
}

// Run sends events until interrupted.
func (c *produceCommand) Run(ctx context.Context, env *environment) error {
	return app.Produce(ctx, app.ProduceOptions{
		Kafka:       c.config(env),
		Compression: c.Compression,
		Fleet:       c.fleet(),
		Workers:     c.Workers,
		Interval:    time.Duration(c.Interval * float64(time.Second)),
		Rate:        c.Rate,
		MaxEvents:   c.MaxEvents,
		LedgerPath:  c.Ledger,
		Registry:    prometheus.NewRegistry(),
		Logger:      env.logger,
	})
}
