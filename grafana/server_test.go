//go:build grafana

package grafana_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/grafana"
	"heartbeat/internal/postgres/schema"
	"heartbeat/internal/testkit/freeport"
)

// homeVariable names the directory of an installed Grafana 9.4 to 12, such as /usr/share/grafana.
const homeVariable = "HEARTBEAT_TEST_GRAFANA"

// grafanaServer is a Grafana with Heartbeat's provisioning files.
type grafanaServer struct {
	t       *testing.T
	address string
	log     *outputBuffer
	hook    *webhook
}

// outputBuffer is the output of a process.
type outputBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *outputBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

func (b *outputBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// webhook receives the notifications.
type webhook struct {
	mu       sync.Mutex
	received []string // the status and the rule of each alert, in order
}

func (w *webhook) ServeHTTP(_ http.ResponseWriter, request *http.Request) {
	var message struct {
		Alerts []struct {
			Status string
			Labels map[string]string
		}
	}
	if json.NewDecoder(request.Body).Decode(&message) != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, alert := range message.Alerts {
		w.received = append(w.received, alert.Status+" "+alert.Labels["type"])
	}
}

func (w *webhook) hasReceived(word string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.received, word)
}

// startGrafana runs the server with a database, as Grafana's role, and with a Prometheus.
func startGrafana(t *testing.T, pool *pgxpool.Pool, prometheus string) *grafanaServer {
	t.Helper()
	home := os.Getenv(homeVariable)
	program, arguments := filepath.Join(home, "bin", "grafana"), []string{"server", "--homepath", home}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%s must name the directory of a Grafana: %v", homeVariable, err)
	}
	if err := schema.ApplyRoles(t.Context(), pool, map[schema.Role]string{schema.GrafanaRole: "read-only"}); err != nil {
		t.Fatal(err)
	}
	g := &grafanaServer{t: t, address: freeport.Address(t), log: &outputBuffer{}, hook: &webhook{}}
	hook := httptest.NewServer(g.hook)
	t.Cleanup(hook.Close)
	host, port, _ := strings.Cut(g.address, ":")
	config := pool.Config().ConnConfig
	directory := t.TempDir()
	command := exec.Command(program, arguments...)
	command.Dir = home
	command.Stdout, command.Stderr = g.log, g.log
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	command.Env = append(os.Environ(),
		"GF_PATHS_PROVISIONING="+shortenIntervals(t, filepath.Join(directory, "provisioning")),
		"GF_PATHS_DATA="+directory, "GF_PATHS_LOGS="+directory, "GF_PATHS_PLUGINS="+filepath.Join(directory, "plugins"),
		"GF_SERVER_HTTP_ADDR="+host, "GF_SERVER_HTTP_PORT="+port, "GF_SECURITY_ADMIN_PASSWORD=heartbeat_pass", "GF_LOG_MODE=console",
		"GF_UNIFIED_ALERTING_ALERTMANAGER_CONFIG_POLL_INTERVAL=1s", // until then it uses its default contact point
		"GF_ANALYTICS_REPORTING_ENABLED=false", "GF_ANALYTICS_CHECK_FOR_UPDATES=false", "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES=false",
		"GF_PLUGINS_PREINSTALL_DISABLED=true", "GF_NEWS_NEWS_FEED_ENABLED=false", "GF_SNAPSHOTS_EXTERNAL_ENABLED=false",
		"GRAFANA_POSTGRES_HOST="+config.Host, fmt.Sprintf("GRAFANA_POSTGRES_PORT=%d", config.Port), "GRAFANA_POSTGRES_DB="+config.Database,
		"GRAFANA_POSTGRES_USER="+string(schema.GrafanaRole), "GRAFANA_POSTGRES_PASSWORD=read-only",
		"GRAFANA_POSTGRES_SSLMODE=disable", "GRAFANA_POSTGRES_SSLROOTCERT=",
		"GRAFANA_PROMETHEUS_URL=http://"+prometheus, "HEARTBEAT_ALERT_WEBHOOK="+hook.URL,
	)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("output of Grafana:\n%s", g.log)
		}
	})
	g.await("Grafana answers", func() error { return g.call(http.MethodGet, "/api/health", nil, nil) })
	return g
}

// shortenIntervals writes the provisioning files with rules that are evaluated every ten seconds, Grafana's minimum, and
// notifications without a delay.
func shortenIntervals(t *testing.T, directory string) string {
	t.Helper()
	if _, err := grafana.Write(directory); err != nil {
		t.Fatal(err)
	}
	for name, replacer := range map[string]*strings.Replacer{
		"rules.yaml":        strings.NewReplacer("interval: 1m", "interval: 10s", "for: 1m", "for: 10s"),
		"notification.yaml": strings.NewReplacer("group_wait: 30s", "group_wait: 1s", "group_interval: 5m", "group_interval: 2s", "group_interval: 1m", "group_interval: 2s"),
	} {
		path := filepath.Join(directory, "alerting", name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(replacer.Replace(string(text))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return directory
}

// call calls Grafana's API as its administrator.
func (g *grafanaServer) call(method, path string, question, reply any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(g.t.Context(), method, "http://"+g.address+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.SetBasicAuth("admin", "heartbeat_pass")
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, text)
	}
	if reply == nil {
		return nil
	}
	return json.Unmarshal(text, reply)
}

func (g *grafanaServer) await(what string, try func() error) {
	g.t.Helper()
	deadline, ticker := time.Now().Add(3*time.Minute), time.NewTicker(250*time.Millisecond)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("%s: not within three minutes: %v", what, err)
		}
		<-ticker.C
	}
}

// frames is the result of a panel's queries.
type frames struct {
	Results map[string]struct {
		Error  string
		Frames []struct {
			Data struct{ Values [][]any }
		}
	}
}

// query runs a panel's queries in Grafana, with variables interpolated as the browser does.
func (g *grafanaServer) query(p panel, s span) (frames, error) {
	var queries []map[string]any
	for _, target := range p.Targets {
		queries = append(queries, map[string]any{
			"refId": target.RefID, "datasource": map[string]string{"type": target.Datasource.Type, "uid": target.Datasource.UID},
			"rawSql": interpolate(target.RawSQL, s), "format": target.Format, "rawQuery": true,
			"expr": interpolate(target.Expr, s), "range": target.Expr != "",
			"intervalMs": s.interval.Milliseconds(), "maxDataPoints": 1000,
		})
	}
	var reply frames
	err := g.call(http.MethodPost, "/api/ds/query", map[string]any{
		"queries": queries, "from": fmt.Sprint(s.from.UnixMilli()), "to": fmt.Sprint(s.to.UnixMilli()),
	}, &reply)
	return reply, err
}

func interpolate(query string, s span) string {
	return strings.NewReplacer("${customer:sqlstring}", "'CUST_00042'", "$__searchFilter", "CUST_0%",
		"$__rate_interval", "1m", "$__range", "5m", "$__interval_ms", fmt.Sprint(s.interval.Milliseconds())).Replace(query)
}
