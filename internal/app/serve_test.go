package app_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/app"
	"heartbeat/internal/kafka"
	"heartbeat/internal/postgres"
)

func TestConsoleAnswersWithoutBrokerAndDatabaseAndSaysSo(t *testing.T) {
	t.Parallel()
	listener, err := app.ListenConsole(t.Context(), "127.0.0.1:0", app.ConsoleOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() {
		done <- app.Serve(ctx, app.ServeOptions{
			Listener:  listener,
			Kafka:     kafka.Config{Brokers: []string{"127.0.0.1:1"}, Topic: "heartbeat-events"},
			Database:  postgres.Options{Host: "127.0.0.1", Port: 1, Database: "none", User: "nobody"},
			Customers: 10,
			Registry:  prometheus.NewRegistry(),
			Logger:    slog.New(slog.DiscardHandler),
		})
	}()
	url := "http://" + listener.Addr().String()
	awaitAnswer(t, url+"/healthz", `"ok"`)
	awaitAnswer(t, url+"/readyz", "database_unavailable")
	for _, component := range []string{`"database","level":"down"`, `"broker","level":"down"`, `"live view","level":"down"`} {
		awaitAnswer(t, url+"/api/v1/pipeline", component)
	}
	awaitAnswer(t, url+"/api/v1/fleet", `"never_seen":10`)
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Serve ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Serve goes on ten seconds after its context ended")
	}
}

func awaitAnswer(t *testing.T, url, want string) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	var got string
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); <-ticker.C {
		response, err := http.Get(url)
		if err != nil {
			got = err.Error()
			continue
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if got = string(body); strings.Contains(got, want) {
			return
		}
	}
	t.Errorf("%s answers %q, which does not contain %s", url, got, want)
}

// Settings of which no client can be made end the console at its start: it would say that it is ready, and never show a reading.
func TestConsoleRefusesBrokerSettingsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for want, config := range map[string]kafka.Config{
		"KAFKA_TOPIC":             {Brokers: []string{"127.0.0.1:1"}, Topic: "a b"},
		"KAFKA_BOOTSTRAP_SERVERS": {Brokers: []string{" "}, Topic: "heartbeat-events"},
		"KAFKA_SSL_CA_FILE":       {Brokers: []string{"127.0.0.1:1"}, Topic: "heartbeat-events", Security: kafka.Security{Protocol: "SSL", CAFile: "/there/is/none"}},
	} {
		listener, err := app.ListenConsole(t.Context(), "127.0.0.1:0", app.ConsoleOptions{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = app.Serve(t.Context(), app.ServeOptions{
			Listener: listener, Kafka: config, Database: postgres.Options{Host: "127.0.0.1", Port: 1, Database: "none", User: "nobody"},
			Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Serve ended with %v, want an error that names %s", err, want)
		}
	}
}
