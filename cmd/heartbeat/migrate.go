package main

import (
	"context"
	"fmt"
	"time"

	"heartbeat/internal/app"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/schema"
)

type migrateCommand struct {
	postgresFlags `group:"PostgreSQL"`

	Status bool `help:"Show which migrations are applied, and change nothing."`
	Roles  bool `help:"Then create the roles heartbeat_owner, _ingest, _dashboard, _operator, _notify, _gateway and _grafana and grant each what it needs. Those with a password in HEARTBEAT_INGEST_PASSWORD, HEARTBEAT_DASHBOARD_PASSWORD, HEARTBEAT_OPERATOR_PASSWORD, HEARTBEAT_NOTIFY_PASSWORD, HEARTBEAT_GATEWAY_PASSWORD or HEARTBEAT_GRAFANA_PASSWORD, or in the file that one of these with _FILE names, may sign in with it."`
}

// rolePasswords names the variables of the roles' passwords.
var rolePasswords = map[schema.Role]string{
	schema.IngestRole:    "HEARTBEAT_INGEST_PASSWORD",
	schema.DashboardRole: "HEARTBEAT_DASHBOARD_PASSWORD",
	schema.OperatorRole:  "HEARTBEAT_OPERATOR_PASSWORD",
	schema.NotifyRole:    "HEARTBEAT_NOTIFY_PASSWORD",
	schema.GatewayRole:   "HEARTBEAT_GATEWAY_PASSWORD",
	schema.GrafanaRole:   "HEARTBEAT_GRAFANA_PASSWORD",
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
	if c.Roles {
		return applyRoles(ctx, env, database)
	}
	return nil
}

func applyRoles(ctx context.Context, env *environment, database postgres.Options) error {
	passwords := map[schema.Role]string{}
	for role, variable := range rolePasswords {
		password, found, err := secret(variable)
		if err != nil {
			return err
		}
		if found && password != "" {
			passwords[role] = password
		}
	}
	if err := app.ApplyRoles(ctx, database, passwords, env.logger); err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "applied roles; %d of %d may sign in with a password set now\n", len(passwords), len(rolePasswords))
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
	table := newTable(env.stdout)
	for _, migration := range migrations {
		applied := "pending"
		if migration.AppliedAt != nil {
			applied = "applied " + migration.AppliedAt.UTC().Format(time.RFC3339)
		}
		table.row(fmt.Sprintf("%04d", migration.Version), migration.Name, applied)
	}
	return table.flush()
}
