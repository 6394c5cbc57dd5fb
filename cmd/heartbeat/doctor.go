package main

import (
	"context"
	"fmt"

	"heartbeat/internal/app"
)

type doctorCommand struct {
	kafkaFlags    `group:"Kafka"`
	groupFlags    `group:"Kafka"`
	postgresFlags `group:"PostgreSQL"`

	JSON bool `name:"json" help:"Print the findings as JSON."`
}

// Run examines broker, database and consumer. It fails when a finding is a failure.
func (c *doctorCommand) Run(ctx context.Context, env *environment) error {
	database, err := c.options("doctor")
	if err != nil {
		return err
	}
	findings := app.Doctor(ctx, app.DoctorOptions{Kafka: c.config(env), Group: c.Group, Database: database})
	failed := false
	for _, finding := range findings {
		failed = failed || finding.Status == app.Failure
	}
	if c.JSON {
		err = writeJSON(env.stdout, map[string]any{"ok": !failed, "findings": findings})
	} else {
		printFindings(env, findings)
	}
	if err == nil && failed {
		return errFailed
	}
	return err
}

func printFindings(env *environment, findings []app.Finding) {
	marks := map[string]string{app.OK: "ok     ", app.Warning: "WARNING", app.Failure: "FAILURE"}
	for _, finding := range findings {
		fmt.Fprintf(env.stdout, "%s  %-20s  %s\n", marks[finding.Status], finding.Check, finding.Detail)
		if finding.Advice != "" {
			fmt.Fprintf(env.stdout, "%31s→ %s\n", "", finding.Advice)
		}
	}
}
