package main

import (
	"context"
	"fmt"

	"heartbeat/internal/app"
	"heartbeat/internal/audit"
)

type verifyCommand struct {
	kafkaFlags    `group:"Kafka"`
	postgresFlags `group:"PostgreSQL"`

	Replay bool `help:"Also run the detector over the readings that Kafka still has, and compare its alarms with the stored ones."`
	JSON   bool `name:"json" help:"Print the report as JSON."`
}

// Run audits, and fails when something does not add up.
func (c *verifyCommand) Run(ctx context.Context, env *environment) error {
	database, err := c.options("verify")
	if err != nil {
		return err
	}
	options := app.VerifyOptions{Kafka: c.config(env), Database: database, Replay: c.Replay, Logger: env.logger}
	if !c.JSON {
		options.Progress = func(what string) { fmt.Fprintln(env.stderr, what) }
	}
	report, err := app.Verify(ctx, options)
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(env.stdout, report)
	} else {
		printReport(env, report)
	}
	if err == nil && !report.OK {
		return errFailed
	}
	return err
}

func printReport(env *environment, report audit.Report) {
	for _, log := range report.Logs {
		fmt.Fprintf(env.stdout, "%s/%d: offsets %d to %d = %d records + %d anomalies + %d dead letters + %d skipped + %d lost\n",
			log.Label, log.Partition, log.First, log.Next, log.Records, log.Anomalies, log.DeadLettered, log.Skipped, log.Lost)
	}
	for _, problem := range report.Problems {
		fmt.Fprintf(env.stdout, "NOT OK  %s\n", problem)
	}
	if report.Omitted > 0 {
		fmt.Fprintf(env.stdout, "NOT OK  and %d more\n", report.Omitted)
	}
	if r := report.Replay; r != nil {
		fmt.Fprintf(env.stdout, "replayed %d readings of %d customers: %d transitions of alarms compared", r.Readings, r.Customers, r.Transitions)
		if r.Undecided > 0 {
			fmt.Fprintf(env.stdout, "; the log does not decide those of %d customers", r.Undecided)
		}
		fmt.Fprintln(env.stdout)
		for _, stretch := range r.Undetected {
			fmt.Fprintf(env.stdout, "note    %s\n", stretch)
		}
		if !report.OK {
			fmt.Fprintln(env.stdout, "note    which differences of a replay are expected is said in docs/alarms.md, Proof")
		}
	}
	if report.OK {
		fmt.Fprintf(env.stdout, "ok: %d offsets, each accounted for exactly once; %d records still to be stored\n", report.Offsets, report.Lag)
	}
}
