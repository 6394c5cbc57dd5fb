package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"heartbeat/internal/device"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/ingestapi"
	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/port"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/devicestore"
	"heartbeat/internal/probeserver"
)

const (
	ingestPort = 8090
	// ingestConnections bounds the clients at a time; further ones wait to be accepted.
	ingestConnections = 4096
)

// IngestOptions set up the role that takes readings over HTTP.
type IngestOptions struct {
	Listener     net.Listener // of ListenIngest
	RequireToken bool         // also of clients on this machine; elsewhere always
	Hosts        []string     // names under which a reverse proxy offers the API
	TLS          httpserver.TLSFiles

	Kafka          kafka.Config
	Compression    producer.Compression
	Database       postgres.Options // of the devices
	Retention      time.Duration    // of the consumer
	MetricsAddress string           // empty: none
	Registry       *prometheus.Registry
	Logger         *slog.Logger
}

// ListenIngest binds the address of the role, so that a port in use is an error before any work begins. Beyond loopback each request
// needs a token.
func ListenIngest(address string) (net.Listener, error) {
	return httpserver.Listen(httpserver.Address{Asked: address, Default: ingestPort, Open: true})
}

// Ingest takes readings over HTTP until the context ends. The database may be away: readings go to Kafka only.
func Ingest(ctx context.Context, options IngestOptions) error {
	defer options.Listener.Close()
	logger := options.Logger.With("component", "ingest")
	encryption, err := options.TLS.Config()
	if err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, options.Database)
	if err != nil {
		return err
	}
	defer pool.Close()
	options.Kafka.Registry = options.Registry
	publisher, err := producer.NewPublisher(ctx, producer.PublisherConfig{Config: options.Kafka, Role: "ingest", Compression: options.Compression})
	if err != nil {
		return err
	}
	defer publisher.Close()
	devices := device.NewRegistry(devicestore.New(pool), logger)
	requireToken := options.RequireToken || !loopback(options.Listener)
	api := ingestapi.New(ingestapi.Options{
		Publisher: publisher, Devices: devices, RequireToken: requireToken, Hosts: options.Hosts, Retention: options.Retention,
		Registry: options.Registry, Logger: logger,
	})
	roles, ctx := errgroup.WithContext(ctx)
	if options.MetricsAddress != "" {
		probe, err := probeserver.Listen(options.MetricsAddress, options.Registry, func() error { return ingestReady(ctx, publisher, devices, requireToken) })
		if err != nil {
			return err
		}
		logger.Info("metrics, health and readiness", "address", "http://"+probe.Address())
		roles.Go(func() error { return probe.Run(ctx) })
	}
	roles.Go(func() error { return devices.Run(ctx) })
	roles.Go(func() error {
		logger.Info("taking readings", "address", scheme(encryption)+options.Listener.Addr().String(), "token_needed", requireToken)
		return httpserver.ServeTLS(ctx, netutil.LimitListener(options.Listener, ingestConnections), api.Handler(), encryption, logger)
	})
	if err := roles.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("take readings: %w", err)
	}
	return nil
}

// ingestReady returns why requests would be refused.
func ingestReady(ctx context.Context, publisher *producer.Publisher, devices *device.Registry, requireToken bool) error {
	if requireToken {
		if err := devices.Ready(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return publisher.Ping(ctx)
}

const pingTimeout = 2 * time.Second

func scheme(encryption *tls.Config) string {
	if encryption == nil {
		return "http://"
	}
	return "https://"
}

func loopback(listener net.Listener) bool {
	host, _, err := net.SplitHostPort(listener.Addr().String())
	return err == nil && port.Loopback(host)
}
