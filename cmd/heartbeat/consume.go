package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"heartbeat/internal/app"
)

type consumeCommand struct {
	kafkaFlags    `group:"Kafka"`
	groupFlags    `group:"Kafka"`
	postgresFlags `group:"PostgreSQL"`

	InstanceID     string        `placeholder:"NAME" group:"Kafka" help:"Static membership: a restart within the session timeout keeps its partitions. Each consumer needs its own name. By default a name that is kept in the user's state directory."`
	SessionTimeout time.Duration `default:"6s" group:"Kafka" help:"How long the group waits for a silent member (${default})."`
	Retention      time.Duration `placeholder:"DURATION" group:"PostgreSQL" help:"Drop readings older than this and refuse those that arrive older; without it everything is kept."`
	AlarmRetention time.Duration `placeholder:"DURATION" group:"PostgreSQL" help:"Drop alarms, with their history, that were closed longer ago than this, 24h at least; without it they are kept for ever."`
	NoDetection    bool          `help:"Raise no alarms: store readings and alerts only."`
	Background     bool          `help:"Leave processor and database to others: short transactions, one at a time, with a rest behind each. For importing history beside live readings."`
	UntilCaughtUp  bool          `help:"End once everything is stored that the topic holds at the start."`
	MetricsAddress string        `default:"127.0.0.1:9464" placeholder:"HOST:PORT" help:"Where to serve /metrics, /healthz and /readyz (${default}); a taken default gives way to the next free port, none serves nothing."`
}

// Validate refuses settings with which nothing would be stored.
func (c consumeCommand) Validate() error {
	if c.AlarmRetention != 0 && c.AlarmRetention < 24*time.Hour {
		return fmt.Errorf("--alarm-retention %s: want 24h or more", c.AlarmRetention)
	}
	return errors.Join(c.groupFlags.validate(), c.postgresFlags.Validate())
}

// Run consumes until interrupted.
func (c *consumeCommand) Run(ctx context.Context, env *environment) error {
	database, err := c.options("consume")
	if err != nil {
		return err
	}
	if c.MetricsAddress == "none" {
		c.MetricsAddress = ""
	}
	collectOften()
	return app.Consume(ctx, app.ConsumeOptions{
		Kafka:          c.config(env),
		Group:          c.Group,
		InstanceID:     c.InstanceID,
		SessionTimeout: c.SessionTimeout,
		Database:       database,
		Retention:      c.Retention,
		AlarmRetention: c.AlarmRetention,
		NoDetection:    c.NoDetection,
		Background:     c.Background,
		UntilCaughtUp:  c.UntilCaughtUp,
		MetricsAddress: c.MetricsAddress,
		Registry:       newRegistry(),
		Logger:         env.logger,
	})
}

// collectOften keeps the memory of a consumer close to what it uses, unless GOGC is set. Most of it are long-lived buffers without
// pointers, so a collection costs little. At the default GOGC the heap could double.
func collectOften() {
	const percent = 50
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// newRegistry returns a registry with the metrics of the process itself.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
