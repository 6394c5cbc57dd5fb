package app_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"

	"heartbeat/internal/app"
	"heartbeat/internal/kafka"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/simulate"
	"heartbeat/internal/simulator"
	"heartbeat/internal/testkit/fakekafka"
	"heartbeat/internal/testkit/prerequisite"
)

const topic = "heartbeat-events"

// fuzzTime bounds the generated requests, which take a minute on an idle machine.
const fuzzTime = 8 * time.Minute

// TestEveryRouteWithstandsGeneratedRequests sends what Schemathesis makes of openapi.json to a console with a real database: no
// request may end in a server's error, be answered differently from the description, or pass though it breaks the description.
func TestEveryRouteWithstandsGeneratedRequests(t *testing.T) {
	t.Parallel()
	program, err := filepath.Abs("../../.cache/schemathesis/bin/schemathesis")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
		prerequisite.Missing(t, "Schemathesis is missing: run scripts/fetch-schemathesis")
	}
	const token = "a long enough token"
	cluster := fakekafka.Start(t, kfake.SeedTopics(3, topic))
	brokers := kafka.Config{Brokers: cluster.ListenAddrs(), Topic: topic, Logger: slog.New(slog.DiscardHandler)}
	database := postgres.Options{URL: pgtest.URL(pgtest.Database(t))}
	store(t, brokers, database)
	listener, err := app.ListenConsole(t.Context(), "127.0.0.1:0", app.ConsoleOptions{Token: token}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- app.Serve(ctx, app.ServeOptions{
			Console: app.ConsoleOptions{Token: token, TokenRole: "admin"}, Listener: listener, Kafka: brokers, Group: "heartbeat-consumer-group",
			Database: database, Customers: 10, Registry: prometheus.NewRegistry(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve ended with %v", err)
		}
	})
	url := "http://" + listener.Addr().String()
	awaitAnswer(t, url+"/readyz", `"ready"`)

	fuzz, cancel := context.WithTimeout(t.Context(), fuzzTime)
	defer cancel()
	run := exec.CommandContext(fuzz, program, "run", url+"/api/v1/openapi.json", "--url", url,
		"--header", "Authorization: Bearer "+token,
		"--exclude-path", "/api/v1/stream", // it does not end; internal/web tests it
		"--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,negative_data_rejection,unsupported_method",
		"--phases", "coverage,fuzzing", "--max-examples", "20", "--seed", "1", "--workers", "1", // ast.parse of Python 3.11 fails now and then with two threads
		"--continue-on-failure", "--request-timeout", "30", "--no-color", "--warnings", "off")
	run.Dir = t.TempDir() // it keeps what it found in its directory
	output, err := run.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// store produces events and stores them.
func store(t *testing.T, brokers kafka.Config, database postgres.Options) {
	t.Helper()
	err := simulator.Run(t.Context(), simulator.Options{
		Kafka: brokers, MaxEvents: 500, Rate: 1e6, Fleet: simulate.Options{Customers: 10}, Registry: prometheus.NewRegistry(), Logger: brokers.Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	err = app.Consume(t.Context(), app.ConsumeOptions{
		Kafka: brokers, Group: "heartbeat-consumer-group", Database: database, UntilCaughtUp: true, Registry: prometheus.NewRegistry(), Logger: brokers.Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
}
