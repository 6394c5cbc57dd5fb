package grafana_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"heartbeat/internal/embedded/broker"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/testkit/freeport"
	"heartbeat/internal/testkit/prerequisite"
)

// scrape is a job of deploy/prometheus/prometheus.yaml.
type scrape struct {
	JobName       string                `yaml:"job_name"`
	Authorization map[string]string     `yaml:"authorization,omitempty"`
	Targets       []map[string][]string `yaml:"static_configs"`
}

// failureMetrics have no series while nothing fails.
var failureMetrics = []string{"heartbeat_dead_letters_total", "heartbeat_store_retries_total"}

func isFailureMetric(expression string) bool {
	return slices.ContainsFunc(failureMetrics, func(metric string) bool { return strings.Contains(expression, metric) })
}

// A real Prometheus scrapes every role in its own process, as compose.yaml runs them, and evaluates every expression of the
// pipeline dashboard.
func TestPrometheusAnswersThePipelineDashboard(t *testing.T) {
	t.Parallel()
	prometheus := prerequisite.Program(t, "prometheus", "prometheus")
	directory, own := t.TempDir(), freeport.Address(t)
	config := filepath.Join(directory, "prometheus.yaml")
	writeScrapes(t, config, startRoles(t, directory))
	launch(t, nil, prometheus, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(directory, "series"), "--web.listen-address="+own, "--log.level=error")
	awaitAnswer(t, own, "every role answers", `count(up{job=~"heartbeat-(produce|consume|serve|notify|ingest)"} == 1) == 5`, false)
	for _, panel := range readDashboard(t, "pipeline.json").Panels {
		for _, target := range panel.Targets {
			expression := strings.NewReplacer("$__rate_interval", "10s", "$__range", "5m").Replace(target.Expr)
			awaitAnswer(t, own, panel.Title, expression, isFailureMetric(expression))
		}
	}
}

// startRoles runs producer, consumer, console, notifier and ingest against a broker and a database, and returns the
// metrics address of each by its job.
func startRoles(t *testing.T, directory string) map[string]string {
	t.Helper()
	broker, err := broker.Start(t.Context(), broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Stop(context.Background()) })
	if err := os.WriteFile(filepath.Join(directory, "token"), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	produce, consume, serve, notify, ingest := freeport.Address(t), freeport.Address(t), freeport.Address(t), freeport.Address(t), freeport.Address(t)
	environment := []string{
		"KAFKA_BOOTSTRAP_SERVERS=" + broker.Address(), "DATABASE_URL=" + pgtest.URL(pgtest.Database(t)),
		"HEARTBEAT_TOKEN_FILE=" + filepath.Join(directory, "token"), "LOG_LEVEL=WARNING",
	}
	binary := build(t)
	launch(t, environment, binary, "consume", "--metrics-address", consume)
	launch(t, environment, binary, "serve", "--listen", serve)
	launch(t, environment, binary, "notify", "--metrics-address", notify)
	launch(t, environment, binary, "ingest", "--listen", freeport.Address(t), "--metrics-address", ingest)
	launch(t, environment, binary, "produce", "--metrics-address", produce, "--rate", "200")
	return map[string]string{
		"heartbeat-produce": produce, "heartbeat-consume": consume, "heartbeat-serve": serve, "heartbeat-notify": notify, "heartbeat-ingest": ingest,
	}
}

const token = "a token for this test"

// writeScrapes writes the jobs of deploy/prometheus/prometheus.yaml for these addresses.
func writeScrapes(t *testing.T, name string, addresses map[string]string) {
	t.Helper()
	text, err := os.ReadFile("../deploy/prometheus/prometheus.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Global map[string]string `yaml:"global"`
		Jobs   []scrape          `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	config.Global = map[string]string{"scrape_interval": "1s"}
	if len(config.Jobs) != len(addresses) {
		t.Errorf("%d jobs for %d roles", len(config.Jobs), len(addresses))
	}
	for i, job := range config.Jobs {
		config.Jobs[i].Targets = []map[string][]string{{"targets": {addresses[job.JobName]}}}
		if job.Authorization != nil {
			job.Authorization["credentials_file"] = filepath.Join(filepath.Dir(name), "token")
		}
	}
	if text, err = yaml.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// awaitAnswer queries until the result is a number, or any result if it may be empty.
func awaitAnswer(t *testing.T, address, title, expression string, empty bool) {
	t.Helper()
	deadline, ticker := time.Now().Add(90*time.Second), time.NewTicker(250*time.Millisecond)
	defer ticker.Stop()
	var last string
	for range ticker.C {
		values, err := query(address, expression)
		if err == nil && (empty || len(values) > 0 && values[0] != "NaN") {
			return
		}
		last = fmt.Sprint(values, err)
		if time.Now().After(deadline) {
			t.Fatalf("panel %q: %s gives %s", title, expression, last)
		}
	}
}

func query(address, expression string) (values []string, err error) {
	response, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(expression))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var reply struct {
		Status, Error string
		Data          struct{ Result []struct{ Value [2]any } }
	}
	if err := json.NewDecoder(response.Body).Decode(&reply); err != nil {
		return nil, err
	}
	if reply.Status != "success" {
		return nil, fmt.Errorf("%s: %s", reply.Status, reply.Error)
	}
	for _, result := range reply.Data.Result {
		values = append(values, fmt.Sprint(result.Value[1]))
	}
	return values, nil
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "heartbeat")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../cmd/heartbeat").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// launch runs a program until the end of the test, which interrupts it.
func launch(t *testing.T, environment []string, program string, args ...string) {
	t.Helper()
	var said strings.Builder
	command := exec.Command(program, args...)
	command.Dir = t.TempDir()
	command.Env = append(os.Environ(), environment...)
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("%s: %v", program, err)
		}
		err := command.Wait()
		if t.Failed() {
			t.Logf("%s: %v\n%s", program, err, said.String())
		}
	})
}
