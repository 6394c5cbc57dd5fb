package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"heartbeat/internal/app"
)

type serveCommand struct {
	kafkaFlags    `group:"Kafka"`
	groupFlags    `group:"Kafka"`
	postgresFlags `group:"PostgreSQL"`
	consoleFlags  `group:"Console"`

	Customers int `env:"CUSTOMER_POOL_SIZE" default:"10000" group:"Console" help:"Customers to expect: those never seen are shown as such (${env}; ${default})."`
}

// Validate refuses what its parts refuse: methods of two embedded structs are not promoted.
func (c serveCommand) Validate() error {
	return errors.Join(c.postgresFlags.Validate(), c.consoleFlags.Validate())
}

// consoleFlags leave the token to the environment: every user of the machine can read argument lists.
type consoleFlags struct {
	Listen     string `env:"HEARTBEAT_LISTEN" placeholder:"HOST:PORT" help:"Where the console listens; without it 127.0.0.1:8080 or the next free port. An address that other machines can reach needs a token in HEARTBEAT_TOKEN or in the file named in HEARTBEAT_TOKEN_FILE."`
	MaxViewers int    `default:"500" help:"Viewers at a time (${default})."`

	BasePath     string   `env:"HEARTBEAT_BASE_PATH" placeholder:"/PATH" help:"Path below which a reverse proxy offers the console, such as /heartbeat."`
	AllowedHosts []string `name:"allowed-host" env:"HEARTBEAT_ALLOWED_HOSTS" placeholder:"NAME" help:"Name under which a reverse proxy offers the console; may be given several times. Without a token the proxy must ask who it is."`
}

// Validate refuses what no console can be like.
func (f consoleFlags) Validate() error {
	if f.MaxViewers < 1 {
		return fmt.Errorf("--max-viewers %d: want 1 or more", f.MaxViewers)
	}
	if err := app.CheckBasePath(f.BasePath); err != nil {
		return fmt.Errorf("--base-path: %w", err)
	}
	for _, host := range f.AllowedHosts {
		if host == "" || strings.ContainsAny(host, "/*@? ") {
			return fmt.Errorf("--allowed-host %q: want a host's name, with a port where browsers use one, and no scheme", host)
		}
	}
	return nil
}

func (f consoleFlags) options() (app.ConsoleOptions, error) {
	token, _, err := secret("HEARTBEAT_TOKEN")
	return app.ConsoleOptions{Token: token, MaxViewers: f.MaxViewers, BasePath: f.BasePath, Hosts: f.AllowedHosts}, err
}

// Run serves until interrupted.
func (c *serveCommand) Run(ctx context.Context, env *environment) error {
	database, err := c.postgresFlags.options("serve")
	if err != nil {
		return err
	}
	console, err := c.consoleFlags.options()
	if err != nil {
		return err
	}
	listener, err := app.ListenConsole(c.Listen, console.Token)
	if err != nil {
		return err
	}
	return app.Serve(ctx, app.ServeOptions{
		Console:   console,
		Listener:  listener,
		Kafka:     c.config(env),
		Group:     c.Group,
		Database:  database,
		Customers: c.Customers,
		Version:   version,
		Registry:  newRegistry(),
		Logger:    env.logger,
	})
}
