package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"heartbeat/internal/app"
	"heartbeat/internal/kafka"
	"heartbeat/internal/logging"
	"heartbeat/internal/postgres"
	"heartbeat/internal/simulate"
)

// environment is what commands run in.
type environment struct {
	stdout, stderr io.Writer
	logger         *slog.Logger
}

type logFlags struct {
	Level  string         `name:"log-level" env:"LOG_LEVEL" default:"INFO" help:"DEBUG, INFO, WARNING or ERROR."`
	Format logging.Format `name:"log-format" enum:"auto,text,json" default:"auto" help:"auto (coloured on a terminal), text or json."`
}

// Validate refuses an unknown level.
func (f logFlags) Validate() error {
	if _, err := logging.ParseLevel(f.Level); err != nil {
		return fmt.Errorf("LOG_LEVEL %q: want DEBUG, INFO, WARNING or ERROR", f.Level)
	}
	return nil
}

func (f logFlags) level() slog.Level {
	level, _ := logging.ParseLevel(f.Level) // validated
	return level
}

type kafkaFlags struct {
	Brokers []string `env:"KAFKA_BOOTSTRAP_SERVERS" default:"localhost:9092" placeholder:"HOST:PORT" help:"Brokers to ask first (${env}; ${default})."`
	topicFlags
	securityFlags
}

type topicFlags struct {
	Topic string `env:"KAFKA_TOPIC" default:"heartbeat-events" help:"Topic of the readings (${env}; ${default})."`
}

type groupFlags struct {
	Group string `env:"KAFKA_GROUP_ID" default:"heartbeat-consumer-group" help:"Consumer group (${env}; ${default})."`
}

// validate refuses an empty name, which only a flag can give: nothing would be stored.
func (f groupFlags) validate() error {
	if strings.TrimSpace(f.Group) == "" {
		return errors.New("KAFKA_GROUP_ID: want a name, which must not be empty")
	}
	return nil
}

func (f kafkaFlags) config(env *environment) kafka.Config {
	return kafka.Config{Brokers: f.Brokers, Topic: f.Topic, Security: f.security(), Logger: env.logger}
}

type postgresFlags struct {
	Database string `env:"DATABASE_URL" placeholder:"URL" help:"Database as postgres://user@host:port/name; wins over the five settings below. Its password belongs into ${env} or POSTGRES_PASSWORD, never on a command line."`
	Host     string `name:"postgres-host" env:"POSTGRES_HOST" default:"localhost" help:"(${env}; ${default})"`
	Port     int    `name:"postgres-port" env:"POSTGRES_PORT" default:"5433" help:"(${env}; ${default})"`
	credentialFlags
	schemaFlags
	tlsFlags
}

// schemaFlags let several applications, or several Heartbeats, share one database.
type schemaFlags struct {
	Schema string `env:"POSTGRES_SCHEMA" placeholder:"NAME" help:"Schema that holds the tables (${env}); public if not given. migrate creates it."`
}

// credentialFlags leave the password to the environment: an argument list is open to everybody on the machine.
type credentialFlags struct {
	DB   string `name:"postgres-db" env:"POSTGRES_DB" default:"heartbeat_db" help:"(${env}; ${default})"`
	User string `name:"postgres-user" env:"POSTGRES_USER" default:"heartbeat_user" help:"(${env}; ${default}) The password comes from POSTGRES_PASSWORD or the file named in POSTGRES_PASSWORD_FILE."`
}

func password() (string, error) {
	given, found, err := secret("POSTGRES_PASSWORD")
	if err != nil || found {
		return given, err
	}
	return app.DefaultPassword, nil
}

// Validate refuses a port that cannot be one.
func (f postgresFlags) Validate() error {
	if f.Port < 1 || f.Port > 65535 {
		return fmt.Errorf("POSTGRES_PORT %d: want 1 to 65535", f.Port)
	}
	return errors.Join(postgres.CheckSchema(f.Schema), f.tlsFlags.Validate())
}

// readPassword reads the password again for each session. A URL without one gets what is set, but not the default.
func (f postgresFlags) readPassword() (string, error) {
	if f.Database == "" {
		return password()
	}
	given, _, err := secret("POSTGRES_PASSWORD")
	return given, err
}

func (f postgresFlags) options(role string) (postgres.Options, error) {
	password, err := password()
	if err != nil {
		return postgres.Options{}, err
	}
	return postgres.Options{
		URL: f.Database, Host: f.Host, Port: f.Port, Database: f.DB, User: f.User, Password: password, ReadPassword: f.readPassword, Role: role,
		Schema: f.Schema, SSLMode: f.SSLMode, SSLRootCert: f.SSLRootCert,
	}, nil
}

type simulatorFlags struct {
	Customers   int     `env:"CUSTOMER_POOL_SIZE" default:"10000" help:"Size of the fleet, 1 to 10,000,000 (${env}; ${default})."`
	AnomalyRate float64 `env:"ANOMALY_INJECTION_RATE" default:"0.05" help:"Share of cardiac anomalies, 0 to 1 (${env}; ${default})."`
	InvalidRate float64 `env:"INVALID_INJECTION_RATE" default:"0.005" help:"Share of sensor faults, 0 to 1 (${env}; ${default})."`
	Seed        uint64  `help:"Same seed, same events; 0 takes a new one each time."`
}

// variables names the environment variable of each option that a fleet can refuse.
var variables = map[simulate.Option]string{
	simulate.Customers:   "CUSTOMER_POOL_SIZE",
	simulate.AnomalyRate: "ANOMALY_INJECTION_RATE",
	simulate.InvalidRate: "INVALID_INJECTION_RATE",
}

// Validate refuses what no fleet can be like, naming the variable and its value.
func (f simulatorFlags) Validate() error {
	_, err := simulate.New(f.fleet())
	if refused, ok := errors.AsType[*simulate.OptionError](err); ok {
		return fmt.Errorf("%s %v: want %s", variables[refused.Option], refused.Value, refused.Want)
	}
	return err
}

func (f simulatorFlags) fleet() simulate.Options {
	seed := f.Seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	return simulate.Options{Customers: f.Customers, AnomalyRate: f.AnomalyRate, InvalidRate: f.InvalidRate, Seed: seed}
}
