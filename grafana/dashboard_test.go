package grafana_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"heartbeat/grafana"
)

// dashboard is the part of a dashboard's JSON that the tests check.
type dashboard struct {
	UID           string
	Title         string
	Description   string
	Refresh       string
	SchemaVersion int
	Time          struct{ From, To string }
	Panels        []panel
	Links         []struct{ URL string }
	Templating    struct{ List []variable }
	Annotations   struct {
		List []struct {
			Name       string
			Datasource datasource
			Target     target
		}
	}
}

type datasource struct{ Type, UID string }

type target struct {
	RefID      string
	Datasource datasource
	Format     string
	RawSQL     string `json:"rawSql"`
	Expr       string
}

type variable struct {
	Name, Type, Query string
	Datasource        datasource
}

type panel struct {
	ID            int
	Type          string
	Title         string
	Description   string
	Datasource    datasource
	GridPos       box
	Targets       []target
	TimeFrom      string
	Interval      string
	MaxDataPoints int
	FieldConfig   struct {
		Defaults  struct{ Unit string }
		Overrides []struct {
			Matcher    struct{ ID, Options string }
			Properties []struct {
				ID    string
				Value any
			}
		}
	}
	Options struct {
		ReduceOptions struct{ Fields string }
	}
}

type box struct{ X, Y, W, H int }

func (b box) overlaps(other box) bool {
	return b.X < other.X+other.W && other.X < b.X+b.W && b.Y < other.Y+other.H && other.Y < b.Y+b.H
}

var (
	dashboards = []string{"main.json", "alarms.json", "customer.json", "pipeline.json"}
	// sqlDashboards show what PostgreSQL stores; the other one shows Prometheus' metrics.
	sqlDashboards = []string{"main.json", "alarms.json", "customer.json"}
)

func readDashboard(t testing.TB, name string) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal(readFile(t, "dashboards/heartbeat/"+name), &d); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

func TestMainDashboardMatchesTheContract(t *testing.T) {
	t.Parallel()
	d := readDashboard(t, "main.json")
	if d.UID != "heartbeat-main" || d.Title != "Customer Heartbeat Monitoring" || d.Refresh != "10s" || d.Time.From != "now-1h" || d.Time.To != "now" {
		t.Errorf("it is %q, uid %s, refresh %s, from %s to %s", d.Title, d.UID, d.Refresh, d.Time.From, d.Time.To)
	}
	types := map[string]string{}
	for _, panel := range d.Panels {
		types[panel.Title] = panel.Type
	}
	for title, want := range map[string]string{
		"Total Valid Records":            "stat",
		"Total Anomalies":                "stat",
		"Anomalies (Last 5 min)":         "stat",
		"Active Customers (Last 60 min)": "stat",
		"Fleet Average BPM — Per Minute": "timeseries",
		"Anomaly Type Breakdown":         "piechart",
		"Recent Anomalies (Last 30 min)": "table",
		"Pipeline Throughput Snapshots":  "timeseries",
		"Anomalies per Minute":           "timeseries",
		"Ingestion Latency":              "timeseries",
		"Customers with Most Anomalies":  "table",
		"Dead Letters by Reason":         "bargauge",
		"Accounts per Partition":         "table",
	} {
		if types[title] != want {
			t.Errorf("panel %q is a %q, want a %s", title, types[title], want)
		}
	}
	if len(d.Panels) != 13 {
		t.Errorf("it has %d panels, want 13", len(d.Panels))
	}
}

func TestDashboardsAreWellFormed(t *testing.T) {
	t.Parallel()
	uids := map[string]bool{}
	for _, name := range dashboards {
		d := readDashboard(t, name)
		if uids[d.UID] || d.UID == "" || d.Title == "" || d.Description == "" || d.SchemaVersion != 37 {
			t.Errorf("%s: uid %q, title %q, schema %d: want a unique uid, a title, a description, and the schema of Grafana 9.4", name, d.UID, d.Title, d.SchemaVersion)
		}
		uids[d.UID] = true
	}
	for _, name := range dashboards {
		d := readDashboard(t, name)
		for _, link := range d.Links {
			if !uids[strings.TrimPrefix(link.URL, "/d/")] {
				t.Errorf("%s links to %s, which is not a dashboard", name, link.URL)
			}
		}
		for i, panel := range d.Panels {
			t.Run(name+"/"+panel.Title, func(t *testing.T) { checkPanel(t, d, i) })
		}
	}
}

// known are the panel types that Grafana 9.4 and 12 both have.
var known = []string{"stat", "timeseries", "piechart", "table", "bargauge"}

func checkPanel(t *testing.T, d dashboard, i int) {
	t.Helper()
	p := d.Panels[i]
	for _, other := range d.Panels[:i] {
		if p.ID == other.ID {
			t.Errorf("panel %q has the same id", other.Title)
		}
		if p.GridPos.overlaps(other.GridPos) {
			t.Errorf("panel %q overlaps it: %+v, %+v", other.Title, other.GridPos, p.GridPos)
		}
	}
	if p.ID <= 0 || p.GridPos.W <= 0 || p.GridPos.H <= 0 || p.GridPos.X < 0 || p.GridPos.X+p.GridPos.W > 24 {
		t.Errorf("id %d, position %+v", p.ID, p.GridPos)
	}
	if p.Title == "" || len(p.Description) < 20 || !slices.Contains(known, p.Type) {
		t.Errorf("title %q, type %q, description %q", p.Title, p.Type, p.Description)
	}
	if p.FieldConfig.Defaults.Unit == "" && p.Type != "table" {
		t.Error("its values have no unit")
	}
	refs := map[string]bool{}
	for _, target := range p.Targets {
		if refs[target.RefID] || target.RefID == "" || target.Datasource != p.Datasource || (target.RawSQL == "") == (target.Expr == "") {
			t.Errorf("target %+v: want a unique refId, the panel's datasource, and one statement", target)
		}
		refs[target.RefID] = true
	}
	if len(refs) == 0 {
		t.Error("it shows nothing")
	}
	checkDatasource(t, p.Datasource)
}

func checkDatasource(t *testing.T, used datasource) {
	t.Helper()
	for _, provided := range datasources(t) {
		if provided.UID == used.UID && provided.Type == used.Type {
			return
		}
	}
	t.Errorf("the datasource %+v is not provisioned", used)
}

type provisionedSource struct {
	Name, UID, Type, URL, User string
	JSONData                   map[string]any    `yaml:"jsonData"`
	SecureJSONData             map[string]string `yaml:"secureJsonData"`
}

func datasources(t *testing.T) []provisionedSource {
	t.Helper()
	var file struct{ Datasources []provisionedSource }
	readYAML(t, "datasources/heartbeat.yaml", &file)
	return file.Datasources
}

func TestDatasourceTakesEverythingFromTheEnvironment(t *testing.T) {
	t.Parallel()
	source := datasources(t)[0]
	if source.Name != "PostgreSQL-Heartbeat" || source.UID != "heartbeat-postgres" || source.Type != "postgres" {
		t.Errorf("the datasource is %+v", source)
	}
	for what, value := range map[string]string{
		"url": source.URL, "user": source.User, "password": source.SecureJSONData["password"],
		"database": fmt.Sprint(source.JSONData["database"]), "sslmode": fmt.Sprint(source.JSONData["sslmode"]),
		"root certificate": fmt.Sprint(source.JSONData["sslRootCertFile"]),
	} {
		if !strings.HasPrefix(value, "$GRAFANA_POSTGRES_") {
			t.Errorf("its %s is %q, want a variable GRAFANA_POSTGRES_...", what, value)
		}
	}
}

func TestProviderShowsTheDashboardsInTheirFolder(t *testing.T) {
	t.Parallel()
	var file struct {
		Providers []struct {
			Folder  string
			Options struct{ Path string }
		}
	}
	readYAML(t, "dashboards/heartbeat.yaml", &file)
	if len(file.Providers) != 1 || file.Providers[0].Folder != "Heartbeat" ||
		file.Providers[0].Options.Path != "$GF_PATHS_PROVISIONING/dashboards/heartbeat" {
		t.Errorf("the provider is %+v", file.Providers)
	}
	for _, name := range dashboards {
		readDashboard(t, name)
	}
	all, err := fs.Glob(grafana.Files(), "dashboards/heartbeat/*.json")
	if err != nil || len(all) != len(dashboards) {
		t.Errorf("there are the dashboards %v, want %v (%v)", all, dashboards, err)
	}
}

// declared matches metrics that the code registers.
var declared = regexp.MustCompile(`Name:\s*"(heartbeat_[a-z_]+)"`)

// used matches metrics in an expression; a histogram's series have a suffix.
var used = regexp.MustCompile(`heartbeat_[a-z_]+`)

func TestEveryMetricOnThePipelineDashboardExists(t *testing.T) {
	t.Parallel()
	exist := map[string]bool{}
	err := filepath.WalkDir("../internal", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range declared.FindAllSubmatch(source, -1) {
			exist[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, panel := range readDashboard(t, "pipeline.json").Panels {
		for _, target := range panel.Targets {
			for _, metric := range used.FindAllString(target.Expr, -1) {
				histogram := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(metric, "")
				if !exist[metric] && !exist[histogram] {
					t.Errorf("panel %q shows %s, which no code registers", panel.Title, metric)
				}
			}
		}
	}
}

func TestWriteLeavesTheFilesOfTheBinary(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "grafana")
	for range 2 { // a second time, over the first
		written, err := grafana.Write(directory)
		if err != nil {
			t.Fatal(err)
		}
		if len(written) != 10 {
			t.Errorf("wrote %v", written)
		}
	}
	err := fs.WalkDir(grafana.Files(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(directory, name))
		if string(content) != string(readFile(t, name)) {
			t.Errorf("%s differs from the embedded file", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWriteNamesAFileInItsWay(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "grafana")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := grafana.Write(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("the error is %v, want one that names %s", err, file)
	}
}
