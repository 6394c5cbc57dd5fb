package main

import (
	"context"
	"fmt"

	"heartbeat/internal/app"
)

type serveCommand struct {
	kafkaFlags    `group:"Kafka"`
	postgresFlags `group:"PostgreSQL"`
	consoleFlags  `group:"Console"`

	Customers int `env:"CUSTOMER_POOL_SIZE" default:"10000" group:"Console" help:"Customers to expect: those never seen are shown as such (${env}; ${default})."`
}

// consoleFlags leave the token to the environment: an argument list is open to everybody on the machine.
type consoleFlags struct {
	Listen     string `env:"HEARTBEAT_LISTEN" placeholder:"HOST:PORT" help:"Where the console listens; without it 127.0.0.1:8080 or the next free port. An address that other machines can reach needs a token in HEARTBEAT_TOKEN or in the file named in HEARTBEAT_TOKEN_FILE."`
	MaxViewers int    `default:"500" help:"Viewers at a time (${default})."`
}

// Validate refuses a console without room.
func (f consoleFlags) Validate() error {
	if f.MaxViewers < 1 {
		return fmt.Errorf("--max-viewers %d: want 1 or more", f.MaxViewers)
	}
	return nil
}

func consoleToken() (string, error) {
	token, _, err := secret("HEARTBEAT_TOKEN")
	return token, err
}

// Run serves until interrupted.
func (c *serveCommand) Run(ctx context.Context, env *environment) error {
	database, err := c.options("serve")
	if err != nil {
		return err
	}
	token, err := consoleToken()
	if err != nil {
		return err
	}
	listener, err := app.ListenConsole(c.Listen, token)
	if err != nil {
		return err
	}
	return app.Serve(ctx, app.ServeOptions{
		Listener:   listener,
		Token:      token,
		Kafka:      c.config(env),
		Database:   database,
		Customers:  c.Customers,
		MaxViewers: c.MaxViewers,
		Version:    version,
		Registry:   newRegistry(),
		Logger:     env.logger,
	})
}
