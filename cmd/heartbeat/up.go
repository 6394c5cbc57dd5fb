package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"syscall"
	"time"

	"heartbeat/internal/app"
	"heartbeat/internal/embedded/datadir"
	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/logging"
	"heartbeat/internal/postgres"
	"heartbeat/internal/simulator"
)

type upCommand struct {
	DataDir     string        `placeholder:"DIR" help:"Where data is kept between runs; the user's state directory if not given."`
	Fresh       bool          `help:"Start over: delete what earlier runs left behind."`
	Duration    time.Duration `help:"Stop after this time."`
	Retention   time.Duration `default:"24h" help:"Drop readings older than this, 0 keeps them (${default})."`
	NoDetection bool          `help:"Raise no alarms: store readings and alerts only."`
	NotifyFile  string        `env:"HEARTBEAT_NOTIFY_FILE" placeholder:"FILE" help:"Destinations and routes of messages about alarms (${env}); without it they go into the log."`

	simulatorFlags  `group:"Simulator"`
	Model           string `default:"physiological" enum:"seed,physiological" placeholder:"MODEL" group:"Simulator" help:"physiological gives each customer a body, a steady interval and episodes; seed draws every reading independently (${default})."`
	physiologyFlags `group:"Simulator"`
	Interval        time.Duration `default:"5s" group:"Simulator" help:"Each customer has a reading once in this time (${default})."`
	Rate            float64       `placeholder:"N" group:"Simulator" help:"Readings a second of the whole fleet, instead of the interval."`

	Brokers    []string `placeholder:"HOST:PORT" group:"Kafka" help:"Use this Kafka instead of starting a broker."`
	topicFlags `group:"Kafka"`
	groupFlags `group:"Kafka"`

	Compression producer.Compression `default:"gzip" enum:"gzip,zstd,lz4,snappy,none" placeholder:"CODEC" group:"Kafka" help:"Of the simulator's events: gzip, which every client reads, or zstd, lz4, snappy or none (${default})."`
	KafkaPort   int                  `default:"9092" group:"Kafka" help:"Port of the broker it starts (${default}); another than the default must be free."`

	Database        string `placeholder:"URL" group:"PostgreSQL" help:"Use this database instead of starting one."`
	PostgresPort    int    `env:"POSTGRES_PORT" default:"5433" group:"PostgreSQL" help:"Port of the database it starts (${env}; ${default}); another than the default must be free."`
	credentialFlags `group:"PostgreSQL"`
	schemaFlags     `group:"PostgreSQL"`

	IngestListen string `env:"HEARTBEAT_INGEST_LISTEN" placeholder:"HOST:PORT" group:"Devices" help:"Where readings are taken over HTTP (${env}); without it 127.0.0.1:8090 or the next free port. Beyond loopback each request needs a device's token, see heartbeat device."`

	consoleFlags `group:"Console"`
}

const (
	defaultKafkaPort    = 9092
	defaultPostgresPort = 5433
)

// Validate refuses values that make no stream.
func (c upCommand) Validate() error {
	if err := errors.Join(c.simulatorFlags.Validate(), c.groupFlags.validate(), postgres.CheckSchema(c.Schema), c.consoleFlags.Validate()); err != nil {
		return err
	}
	switch {
	case c.Interval <= 0:
		return fmt.Errorf("--interval %s: want more than 0", c.Interval)
	case !(c.Rate >= 0) || math.IsInf(c.Rate, 0):
		return fmt.Errorf("--rate %v: want 0 or more", c.Rate)
	case c.Duration < 0:
		return fmt.Errorf("--duration %s: want 0 or more", c.Duration)
	case c.Retention < 0:
		return fmt.Errorf("--retention %s: want 0 or more", c.Retention)
	}
	physiology, err := c.physiologyFlags.options(c.Model, c.Topic)
	if err != nil || physiology == nil {
		return err
	}
	return c.validateInterval(c.perSecond())
}

// perSecond is the rate of the whole fleet.
func (c upCommand) perSecond() float64 {
	if c.Rate > 0 {
		return c.Rate
	}
	return float64(c.Customers) / c.Interval.Seconds()
}

// Run runs everything until interrupted.
func (c *upCommand) Run(ctx context.Context, env *environment) error {
	syscall.Umask(0o077) // what the broker writes is for its user alone
	if c.Database == "" {
		dropLibpqVariables()
	}
	dir := c.DataDir
	if dir == "" {
		var err error
		if dir, err = datadir.Default(); err != nil {
			return err
		}
	}
	secret, err := password()
	if err != nil {
		return err
	}
	console, err := c.consoleFlags.options()
	if err != nil {
		return err
	}
	fleet := c.fleet()
	fleet.InTurn = true
	physiology, err := c.physiologyFlags.options(c.Model, c.Topic)
	if err != nil {
		return err
	}
	return app.Up(ctx, app.UpOptions{
		DataDir:           dir,
		Fresh:             c.Fresh,
		Duration:          c.Duration,
		Kafka:             kafka.Config{Brokers: c.Brokers, Topic: c.Topic, Logger: env.logger},
		BrokerPort:        c.KafkaPort,
		BrokerPortAsked:   c.KafkaPort != defaultKafkaPort,
		Database:          postgres.Options{URL: c.Database, Database: c.DB, User: c.User, Password: secret, Schema: c.Schema, Role: "up"},
		PostgresPort:      c.PostgresPort,
		PostgresPortAsked: c.PostgresPort != defaultPostgresPort,
		Produce:           simulator.Options{Fleet: fleet, Rate: c.perSecond(), Physiology: physiology, Compression: c.Compression},
		Group:             c.Group,
		Retention:         c.Retention,
		NoDetection:       c.NoDetection,
		NotifyFile:        c.NotifyFile,
		IngestAddress:     c.IngestListen,
		ConsoleAddress:    c.Listen,
		Console:           console,
		Version:           version,
		Registry:          newRegistry(),
		Logger:            env.logger,
		Out:               logging.NewWriter(env.stdout),
	})
}

// dropLibpqVariables removes what the shell has set for other servers, such as PGSSLMODE, PGSERVICE and PGOPTIONS: they would
// change how the roles connect to the private server.
func dropLibpqVariables() {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "PG") {
			os.Unsetenv(name)
		}
	}
}
