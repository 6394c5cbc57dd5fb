package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"heartbeat/internal/app"
)

type migrateCommand struct {
	postgresFlags `group:"PostgreSQL"`

	Status bool `help:"Show which migrations are applied, and change nothing."`
}

// Run applies what is pending, or shows it.
func (c *migrateCommand) Run(ctx context.Context, env *environment) error {
	database, err := c.options("migrate")
	if err != nil {
		return err
	}
	if c.Status {
		return c.status(ctx, env)
	}
	applied, err := app.Migrate(ctx, database, env.logger)
	for _, migration := range applied {
		fmt.Fprintf(env.stdout, "applied %04d %s\n", migration.Version, migration.Name)
	}
	if err != nil {
		return err
	}
	if len(applied) == 0 {
		fmt.Fprintln(env.stdout, "nothing to do: the schema is this binary's")
	}
	return nil
}

func (c *migrateCommand) status(ctx context.Context, env *environment) error {
	database, err := c.options("migrate")
	if err != nil {
		return err
	}
	migrations, err := app.MigrationStatus(ctx, database, env.logger)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	for _, migration := range migrations {
		applied := "pending"
		if migration.AppliedAt != nil {
			applied = "applied " + migration.AppliedAt.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%04d\t%s\t%s\n", migration.Version, migration.Name, applied)
	}
	return table.Flush()
}
