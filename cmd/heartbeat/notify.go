package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/google/uuid"

	"heartbeat/internal/app"
	"heartbeat/internal/notifier"
)

type notifyCommand struct {
	Run        notifyRun        `cmd:"" default:"withargs" help:"Escalate alarms and tell people, until interrupted. A hangup (SIGHUP) reads the file again."`
	Check      notifyCheck      `cmd:"" help:"Check a file of destinations and routes, with its secrets, and send nothing."`
	Test       notifyTest       `cmd:"" help:"Send a test message to a destination."`
	Deliveries notifyDeliveries `cmd:"" help:"List messages, the newest first."`
	Retry      notifyRetry      `cmd:"" help:"Send messages again that were given up."`
}

// notifyFile names the file of destinations and routes.
type notifyFile struct {
	File string `env:"HEARTBEAT_NOTIFY_FILE" placeholder:"FILE" help:"Destinations and routes (${env}); without it messages go into the log."`
}

type notifyRun struct {
	postgresFlags `group:"PostgreSQL"`
	notifyFile

	WithValues     bool   `help:"Let messages carry the heart rate and its limit; by default they carry no health data beyond customer and condition."`
	MetricsAddress string `default:"127.0.0.1:9466" placeholder:"HOST:PORT" help:"Where to serve /metrics, /healthz and /readyz (${default}); a taken default gives way to the next free port, none serves nothing."`
}

// Run notifies until interrupted.
func (c *notifyRun) Run(ctx context.Context, env *environment) error {
	database, err := c.options("notify")
	if err != nil {
		return err
	}
	if c.MetricsAddress == "none" {
		c.MetricsAddress = ""
	}
	signal.Reset(syscall.SIGHUP) // ends the other commands
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	return app.Notify(ctx, app.NotifyOptions{
		Database: database, File: c.File, WithValues: c.WithValues, Reload: reload,
		MetricsAddress: c.MetricsAddress, Registry: newRegistry(), Logger: env.logger,
	})
}

type notifyCheck struct {
	File string `arg:"" placeholder:"FILE" help:"What to check."`
}

// Run checks a file.
func (c *notifyCheck) Run(env *environment) error {
	if err := notifier.Check(c.File, env.logger); err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "%s: correct\n", c.File)
	return nil
}

type notifyTest struct {
	notifyFile

	Name string `arg:"" help:"Of the destination."`
}

// Run sends a test message.
func (c *notifyTest) Run(ctx context.Context, env *environment) error {
	if err := notifier.Test(ctx, c.File, c.Name, env.logger); err != nil {
		return fmt.Errorf("send a test message to %s: %w", c.Name, err)
	}
	fmt.Fprintf(env.stdout, "%s has taken the message\n", c.Name)
	return nil
}

func openOutbox(ctx context.Context, flags *postgresFlags, env *environment) (*app.Outbox, error) {
	database, err := flags.options("notify")
	if err != nil {
		return nil, err
	}
	return app.OpenOutbox(ctx, database, env.logger)
}

type notifyDeliveries struct {
	alarmFlags

	State       string `enum:",pending,sent,dead,withdrawn" default:"" help:"Only pending, sent, dead (given up) or withdrawn ones (told in a later message, or answered)."`
	Destination string `placeholder:"NAME" help:"Only to this destination."`
	Limit       int    `default:"50" help:"How many at most (${default})."`
}

// Validate refuses a limit that lists nothing.
func (c *notifyDeliveries) Validate() error {
	if c.Limit < 1 || c.Limit > 10_000 {
		return fmt.Errorf("--limit %d: want 1 to 10000", c.Limit)
	}
	return c.postgresFlags.Validate()
}

// Run lists deliveries.
func (c *notifyDeliveries) Run(ctx context.Context, env *environment) error {
	outbox, err := openOutbox(ctx, &c.postgresFlags, env)
	if err != nil {
		return err
	}
	defer outbox.Close()
	listed, err := outbox.List(ctx, c.State, c.Destination, c.Limit)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.stdout, listed)
	}
	table := newTable(env.stdout, "DELIVERY", "DESTINATION", "TYPE", "PRIORITY", "ALARMS", "STATE", "ATTEMPTS", "CREATED", "NEXT", "ERROR")
	for i := range listed {
		d := &listed[i]
		next := "-"
		if d.NextAttemptAt != nil {
			next = d.NextAttemptAt.UTC().Format(time.RFC3339)
		}
		table.row(d.ID, d.Destination, d.Type, d.Priority, d.Alarms, d.State, d.Attempts, d.CreatedAt.UTC().Format(time.RFC3339), next, textOrDash(d.Error))
	}
	return table.flush()
}

type notifyRetry struct {
	postgresFlags `group:"PostgreSQL"`

	ID          string `arg:"" optional:"" help:"Of the delivery."`
	Destination string `placeholder:"NAME" help:"All of a destination that were given up; it is enabled again."`
}

// Validate requires exactly one of the two.
func (c *notifyRetry) Validate() error {
	if (c.ID == "") == (c.Destination == "") {
		return errors.New("want the id of a delivery, or --destination")
	}
	if c.ID != "" {
		if _, err := uuid.Parse(c.ID); err != nil {
			return fmt.Errorf("%q is not the id of a delivery", c.ID)
		}
	}
	return c.postgresFlags.Validate()
}

// Run makes dead deliveries pending again.
func (c *notifyRetry) Run(ctx context.Context, env *environment) error {
	outbox, err := openOutbox(ctx, &c.postgresFlags, env)
	if err != nil {
		return err
	}
	defer outbox.Close()
	id, _ := uuid.Parse(c.ID) // validated; nil where none is given
	count, err := outbox.Retry(ctx, id, c.Destination, time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "%d to be sent again\n", count)
	return nil
}
