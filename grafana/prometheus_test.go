package grafana_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// quiet are the metrics that have no series while nothing goes wrong.
var quiet = []string{"heartbeat_dead_letters_total", "heartbeat_store_retries_total"}

// A real Prometheus asks the real system, and answers every expression of the pipeline dashboard.
func TestPrometheusAnswersThePipelineDashboard(t *testing.T) {
	t.Parallel()
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("prometheus is missing: apt-get install prometheus")
	}
	directory := openDirectory(t)
	system, own := freeAddress(t), freeAddress(t)
	launch(t, build(t), "up", "--data-dir", filepath.Join(directory, "data"), "--listen", system, "--rate", "200", "--log-level", "WARNING")
	config := filepath.Join(directory, "prometheus.yaml")
	text := "global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: heartbeat-up\n    static_configs: [{targets: [\"" + system + "\"]}]\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	launch(t, prometheus, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(directory, "series"), "--web.listen-address="+own, "--log.level=error")
	for _, panel := range readDashboard(t, "pipeline.json").Panels {
		for _, target := range panel.Targets {
			expression := strings.NewReplacer("$__rate_interval", "10s", "$__range", "5m").Replace(target.Expr)
			empty := false
			for _, metric := range quiet {
				empty = empty || strings.Contains(expression, metric)
			}
			awaitAnswer(t, own, panel.Title, expression, empty)
		}
	}
}

// awaitAnswer asks until there is a number, or an answer at all where there may be none.
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
	var answer struct {
		Status, Error string
		Data          struct{ Result []struct{ Value [2]any } }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", answer.Status, answer.Error)
	}
	for _, result := range answer.Data.Result {
		values = append(values, fmt.Sprint(result.Value[1]))
	}
	return values, nil
}

// openDirectory is a temporary one that an unprivileged database server can pass.
func openDirectory(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "heartbeat-grafana-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(directory); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	return directory
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "heartbeat")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../cmd/heartbeat").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// launch runs a program until the end of the test, which ends it in good order.
func launch(t *testing.T, program string, args ...string) {
	t.Helper()
	var said strings.Builder
	command := exec.Command(program, args...)
	command.Dir = t.TempDir()
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

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
