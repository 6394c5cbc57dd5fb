package main

import (
	"context"
	"fmt"

	"heartbeat/internal/doctor"
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
	findings := doctor.Examine(ctx, doctor.Options{Kafka: c.config(env), Group: c.Group, Database: database})
	failed := false
	for _, finding := range findings {
		failed = failed || finding.Status == doctor.Failure
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

func printFindings(env *environment, findings []doctor.Finding) {
	marks := map[string]string{doctor.OK: "ok     ", doctor.Warning: "WARNING", doctor.Failure: "FAILURE"}
	for _, finding := range findings {
		fmt.Fprintf(env.stdout, "%s  %-20s  %s\n", marks[finding.Status], finding.Check, finding.Detail)
		if finding.Advice != "" {
			fmt.Fprintf(env.stdout, "%31s→ %s\n", "", finding.Advice)
		}
	}
}
