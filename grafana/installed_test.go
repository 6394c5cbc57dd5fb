//go:build grafana

package grafana_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/testkit/freeport"
)

// errorLine matches an error in Grafana's log.
var errorLine = regexp.MustCompile(`(?m)^.*(level|lvl)=(error|eror|crit).*$`)

func TestGrafanaLoadsTheFilesAndAnswersEveryPanel(t *testing.T) {
	directory, prometheus := t.TempDir(), freeport.Address(t)
	config := filepath.Join(directory, "prometheus.yaml")
	writeScrapes(t, config, startRoles(t, directory))
	launch(t, nil, "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(directory, "series"), "--web.listen-address="+prometheus, "--log.level=error")
	pool, now := seeded(t, 30_000, 100)
	g := startGrafana(t, pool, prometheus)
	awaitAnswer(t, prometheus, "readings are stored", `sum(rate(heartbeat_readings_total[10s]))`, false)

	for _, name := range dashboards {
		d := readDashboard(t, name)
		var loaded struct {
			Meta struct {
				FolderTitle string
				Provisioned bool
			}
			Dashboard struct{ Panels []struct{ ID int } }
		}
		g.await(d.Title+" is loaded", func() error { return g.call(http.MethodGet, "/api/dashboards/uid/"+d.UID, nil, &loaded) })
		if len(loaded.Dashboard.Panels) != len(d.Panels) || loaded.Meta.FolderTitle != "Heartbeat" || !loaded.Meta.Provisioned {
			t.Errorf("%s: %d panels of %d in the folder %q", d.Title, len(loaded.Dashboard.Panels), len(d.Panels), loaded.Meta.FolderTitle)
		}
		for _, p := range d.Panels {
			s := spanOf(t, p, now)
			g.await(d.Title+"/"+p.Title, func() error {
				if name == "pipeline.json" { // Prometheus has just begun to scrape
					s.to = time.Now()
				}
				return g.checkPanel(p, s)
			})
		}
	}
	for _, line := range errorLine.FindAllString(g.log.String(), -1) {
		t.Errorf("Grafana's log: %s", line)
	}
}

// checkPanel checks that each query of a panel returns rows, except metrics of failures that have not happened.
func (g *grafanaServer) checkPanel(p panel, s span) error {
	reply, err := g.query(p, s)
	if err != nil {
		return err
	}
	for _, target := range p.Targets {
		result := reply.Results[target.RefID]
		empty := len(result.Frames) == 0 || len(result.Frames[0].Data.Values) == 0
		if result.Error != "" || empty && !isFailureMetric(target.Expr) {
			return fmt.Errorf("query %s gives %d frames, error %q", target.RefID, len(result.Frames), result.Error)
		}
	}
	return nil
}

// states returns the state of each rule by its type, or an error if a rule could not be evaluated.
func (g *grafanaServer) states() (map[string]string, error) {
	var reply struct {
		Data struct {
			Groups []struct {
				Rules []struct {
					State, Health, LastError string
					Labels                   map[string]string
				}
			}
		}
	}
	if err := g.call(http.MethodGet, "/api/prometheus/grafana/api/v1/rules", nil, &reply); err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, group := range reply.Data.Groups {
		for _, rule := range group.Rules {
			states[rule.Labels["type"]] = rule.State
			if rule.Health != "ok" {
				states[rule.Labels["type"]] = rule.Health + " " + rule.LastError
			}
		}
	}
	return states, nil
}

// expect waits until exactly these rules fire.
func (g *grafanaServer) expect(what string, firing ...string) {
	g.t.Helper()
	began := time.Now()
	g.await(what, func() error {
		states, err := g.states()
		if err != nil {
			return err
		}
		for _, kind := range []string{"invalid", "tachycardia", "bradycardia", "anomaly_rate", "stalled"} {
			want := "inactive"
			if slices.Contains(firing, kind) {
				want = "firing"
			}
			if states[kind] != want {
				return fmt.Errorf("%v, want %v to fire", states, firing)
			}
		}
		return nil
	})
	g.t.Logf("%s: fires %v after %v", what, firing, time.Since(began).Round(time.Second))
}

// replaceTraffic rewrites the stored rows: an hour of normal traffic, five minutes of the given traffic, and the same for
// the next minutes.
func (f *fleet) replaceTraffic(traffic traffic) {
	f.t.Helper()
	pgtest.Exec(f.t, f.pool, `TRUNCATE fleet_minute, heartbeat_records, heartbeat_anomalies, pipeline_metrics`)
	now := time.Now().UTC().Truncate(time.Minute)
	for at := now.Add(-time.Hour); at.Before(now.Add(10 * time.Minute)); at = at.Add(time.Minute) {
		if at.Before(now.Add(-5 * time.Minute)) {
			f.minute(at, normal())
		} else {
			f.minute(at, traffic)
		}
	}
}

func TestGrafanasRulesFireAndResolve(t *testing.T) {
	fleet := newFleet(t, 2)
	fleet.replaceTraffic(normal())
	g := startGrafana(t, fleet.pool, "127.0.0.1:1")
	g.expect("a quiet hour")
	for _, episode := range episodes(60, 30) {
		if len(episode.fires) == 0 {
			continue
		}
		fleet.replaceTraffic(episode.traffic)
		g.expect(episode.name, episode.fires...)
		for _, kind := range episode.fires {
			g.await("the webhook hears of "+kind, func() error { return g.wantReceived("firing " + kind) })
		}
		fleet.replaceTraffic(normal())
		g.expect("calm after: " + episode.name)
		for _, kind := range episode.fires {
			g.await("the webhook hears the end of "+kind, func() error { return g.wantReceived("resolved " + kind) })
		}
	}
	for _, line := range errorLine.FindAllString(g.log.String(), -1) {
		t.Errorf("Grafana's log: %s", line)
	}
}

func (g *grafanaServer) wantReceived(word string) error {
	if g.hook.hasReceived(word) {
		return nil
	}
	return fmt.Errorf("no notification %q was received", word)
}
