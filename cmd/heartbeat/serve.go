package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"heartbeat/internal/app"
	"heartbeat/internal/users"
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
	Listen     string `env:"HEARTBEAT_LISTEN" placeholder:"HOST:PORT" help:"Where the console listens; without it 127.0.0.1:8080 or the next free port. An address that other machines can reach needs users, see heartbeat user, or a token in HEARTBEAT_TOKEN or in the file named in HEARTBEAT_TOKEN_FILE."`
	MaxViewers int    `default:"500" help:"Viewers at a time (${default})."`

	BasePath     string   `env:"HEARTBEAT_BASE_PATH" placeholder:"/PATH" help:"Path below which a reverse proxy offers the console, such as /heartbeat."`
	AllowedHosts []string `name:"allowed-host" env:"HEARTBEAT_ALLOWED_HOSTS" placeholder:"NAME" help:"Name under which a reverse proxy offers the console; may be given several times. Without a token the proxy must ask who it is."`

	TokenRole        users.Role `env:"HEARTBEAT_TOKEN_ROLE" enum:"viewer,operator,admin" default:"viewer" help:"What the token may do: viewer, operator or admin (${env}; ${default})."`
	ProxyUserHeader  string     `env:"HEARTBEAT_PROXY_USER_HEADER" placeholder:"NAME" help:"Header in which a reverse proxy names the user that it has signed in, such as X-Forwarded-User; needs --trusted-proxies."`
	TrustedProxies   []string   `env:"HEARTBEAT_TRUSTED_PROXIES" placeholder:"CIDR" help:"Networks whose user header counts, with commas between them. From any other address the header is refused."`
	ProxyDefaultRole users.Role `env:"HEARTBEAT_PROXY_DEFAULT_ROLE" enum:",viewer,operator,admin" default:"" placeholder:"ROLE" help:"Role of a name in the user header that is no user here; refused unless given."`
	AuditReads       bool       `env:"HEARTBEAT_AUDIT_READS" help:"Record in audited_reads who reads one person's data."`
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
	return f.console("").Check()
}

func (f consoleFlags) options() (app.ConsoleOptions, error) {
	token, _, err := secret("HEARTBEAT_TOKEN")
	return f.console(token), err
}

func (f consoleFlags) console(token string) app.ConsoleOptions {
	return app.ConsoleOptions{
		Token: token, TokenRole: f.TokenRole, MaxViewers: f.MaxViewers, BasePath: f.BasePath, Hosts: f.AllowedHosts,
		ProxyUserHeader: f.ProxyUserHeader, TrustedProxies: f.TrustedProxies, ProxyRole: f.ProxyDefaultRole, AuditReads: f.AuditReads,
	}
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
	listener, err := app.ListenConsole(ctx, c.Listen, console, &database)
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
