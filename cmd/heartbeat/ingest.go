package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heartbeat/internal/app"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
)

type ingestCommand struct {
	Listen       string   `env:"HEARTBEAT_INGEST_LISTEN" placeholder:"HOST:PORT" help:"Where readings are taken (${env}); without it 127.0.0.1:8090 or the next free port. Beyond loopback each request needs a device's token, see heartbeat device."`
	RequireToken bool     `help:"Ask clients on this machine for a token too."`
	AllowedHosts []string `name:"allowed-host" placeholder:"HOST" help:"Name under which a reverse proxy on this machine offers the API to clients without a token; may be repeated."`

	Certificate string `name:"tls-certificate" placeholder:"FILE" group:"TLS" help:"Certificate and its chain, in PEM; read again when it is renewed."`
	Key         string `name:"tls-key" placeholder:"FILE" group:"TLS" help:"Key of the certificate, in PEM."`
	ClientCA    string `name:"tls-client-ca" placeholder:"FILE" group:"TLS" help:"Clients must have a certificate of this authority, in PEM, beside their token."`

	kafkaFlags    `group:"Kafka"`
	Compression   producer.Compression `default:"gzip" enum:"gzip,zstd,lz4,snappy,none" placeholder:"CODEC" group:"Kafka" help:"gzip, which every client reads, or zstd, lz4, snappy or none (${default})."`
	postgresFlags `group:"PostgreSQL"`

	Retention      time.Duration `default:"0s" help:"Refuse readings older than this, as a consumer with the same setting does; 0 takes all (${default})."`
	MetricsAddress string        `default:"127.0.0.1:9467" placeholder:"HOST:PORT" help:"Where to serve /metrics, /healthz and /readyz (${default}); a taken default gives way to the next free port, none serves nothing."`
}

// Help implements kong.HelpProvider.
func (ingestCommand) Help() string {
	return `POST /api/v1/readings takes one reading, an array, lines of JSON, FHIR or Open mHealth, and answers once all in-sync replicas
have them. See docs/devices.md.

Examples:

    heartbeat device add ward-3-gateway --cohort ward-3
    heartbeat ingest --listen 0.0.0.0:8090 --tls-certificate chain.pem --tls-key key.pem
    curl -H 'Content-Type: application/json' -d '{"customer_id":"CUST_00042","heart_rate":72,"timestamp":"2026-11-23T14:03:05Z"}' \
         localhost:8090/api/v1/readings`
}

// Validate refuses values that fit no listener.
func (c ingestCommand) Validate() error {
	if c.Retention < 0 {
		return fmt.Errorf("--retention %s: want 0 or more", c.Retention)
	}
	if (c.Certificate == "") != (c.Key == "") || c.ClientCA != "" && c.Certificate == "" {
		return errors.New("TLS needs both --tls-certificate and --tls-key")
	}
	return errors.Join(kafka.Config{Brokers: c.Brokers, Topic: c.Topic}.Validate(), c.postgresFlags.Validate())
}

// Run takes readings until interrupted.
func (c *ingestCommand) Run(ctx context.Context, env *environment) error {
	database, err := c.options("ingest")
	if err != nil {
		return err
	}
	listener, err := app.ListenIngest(c.Listen)
	if err != nil {
		return err
	}
	if c.MetricsAddress == "none" {
		c.MetricsAddress = ""
	}
	return app.Ingest(ctx, app.IngestOptions{
		Listener: listener, RequireToken: c.RequireToken, Hosts: c.AllowedHosts,
		TLS:   httpserver.TLSFiles{Certificate: c.Certificate, Key: c.Key, ClientCA: c.ClientCA},
		Kafka: c.config(env), Compression: c.Compression, Database: database, Retention: c.Retention,
		MetricsAddress: c.MetricsAddress, Registry: newRegistry(), Logger: env.logger,
	})
}
