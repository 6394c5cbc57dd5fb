package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/simulator"
)

type produceCommand struct {
	kafkaFlags      `group:"Kafka"`
	simulatorFlags  `group:"Simulator"`
	Model           string `default:"seed" enum:"seed,physiological" placeholder:"MODEL" group:"Simulator" help:"seed draws every reading independently; physiological gives each customer a body, a steady interval and episodes (${default})."`
	physiologyFlags `group:"Simulator"`

	Workers     int                  `env:"PRODUCER_WORKERS" default:"1" group:"Simulator" help:"Workers that send, each with its own sequence or its own customers (${env}; ${default})."`
	Interval    float64              `env:"GENERATION_INTERVAL_SECONDS" default:"0.5" placeholder:"SECONDS" group:"Simulator" help:"Between two events of a worker (${env}; ${default})."`
	Rate        float64              `placeholder:"N" group:"Simulator" help:"Events a second, of all workers together, instead of the interval."`
	MaxEvents   int64                `placeholder:"N" group:"Simulator" help:"End after so many events."`
	Compression producer.Compression `default:"gzip" enum:"gzip,zstd,lz4,snappy,none" placeholder:"CODEC" group:"Kafka" help:"gzip, which every client reads, or zstd, lz4, snappy or none (${default})."`
	AckLog      string               `placeholder:"FILE" help:"Write a JSON line for each acknowledged event, for tests."`

	MetricsAddress string `default:"127.0.0.1:9465" placeholder:"HOST:PORT" help:"Where to serve /metrics, /healthz and /readyz (${default}); a taken default gives way to the next free port, none serves nothing."`
}

// The limits of what still is a stream.
const (
	maxWorkers  = 1024
	minInterval = 1e-6 // seconds
	maxInterval = 86_400.0
)

// Help implements kong.HelpProvider.
func (produceCommand) Help() string {
	return `Each customer's readings go to one partition, in order, and every event is acknowledged by all in-sync replicas.
Ctrl-C sends what is generated before the command ends; a second one ends it at once.

Examples:

    heartbeat produce                                  2 events a second to localhost:9092
    heartbeat produce --rate=10000 --customers=100000  a larger fleet
    heartbeat produce --seed=42 --max-events=1000      the same thousand events every time

    heartbeat produce --model=physiological --rate=2000 --truth=truth.jsonl
                                                       people, each with a reading in 5 seconds, and what happens to them`
}

// Validate refuses values that make no stream.
func (c produceCommand) Validate() error {
	if err := (kafka.Config{Brokers: c.Brokers, Topic: c.Topic}).Validate(); err != nil {
		return err
	}
	if err := c.simulatorFlags.Validate(); err != nil {
		return err
	}
	switch {
	case c.Workers < 1 || c.Workers > maxWorkers:
		return fmt.Errorf("PRODUCER_WORKERS %d: want 1 to %d", c.Workers, maxWorkers)
	case !(c.Interval >= minInterval && c.Interval <= maxInterval): // NaN too
		return fmt.Errorf("GENERATION_INTERVAL_SECONDS %v: want %v to %v", c.Interval, minInterval, maxInterval)
	case !(c.Rate >= 0) || math.IsInf(c.Rate, 0):
		return fmt.Errorf("--rate %v: want 0 or more", c.Rate)
	case c.MaxEvents < 0:
		return fmt.Errorf("--max-events %d: want 0 or more", c.MaxEvents)
	}
	physiology, err := c.physiologyFlags.options(c.Model, c.Topic)
	if err != nil || physiology == nil {
		return err
	}
	return c.validateInterval(c.perSecond())
}

// perSecond is the rate of all workers together.
func (c produceCommand) perSecond() float64 {
	if c.Rate > 0 {
		return c.Rate
	}
	return float64(c.Workers) / c.Interval
}

// Run sends events until interrupted.
func (c *produceCommand) Run(ctx context.Context, env *environment) error {
	if c.MetricsAddress == "none" {
		c.MetricsAddress = ""
	}
	physiology, err := c.physiologyFlags.options(c.Model, c.Topic)
	if err != nil {
		return err
	}
	return simulator.Run(ctx, simulator.Options{
		Kafka:          c.config(env),
		Compression:    c.Compression,
		Fleet:          c.fleet(),
		Physiology:     physiology,
		Workers:        c.Workers,
		Interval:       time.Duration(c.Interval * float64(time.Second)),
		Rate:           c.Rate,
		MaxEvents:      c.MaxEvents,
		AckLogPath:     c.AckLog,
		MetricsAddress: c.MetricsAddress,
		Registry:       newRegistry(),
		Logger:         env.logger,
	})
}
