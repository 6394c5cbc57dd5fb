package grafana_test

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"heartbeat/grafana"
)

// alertRule is one rule of provisioning/alerting/rules.yaml.
type alertRule struct {
	UID          string            `yaml:"uid"`
	Title        string            `yaml:"title"`
	Condition    string            `yaml:"condition"`
	For          duration          `yaml:"for"`
	NoDataState  string            `yaml:"noDataState"`
	ExecErrState string            `yaml:"execErrState"`
	DashboardUID string            `yaml:"dashboardUid"`
	PanelID      int               `yaml:"panelId"`
	Labels       map[string]string `yaml:"labels"`
	Annotations  map[string]string `yaml:"annotations"`
	Data         []struct {
		RefID         string `yaml:"refId"`
		DatasourceUID string `yaml:"datasourceUid"`
		Model         struct {
			RefID      string `yaml:"refId"`
			Format     string
			RawSQL     string `yaml:"rawSql"`
			Type       string
			Expression string
			Conditions []struct {
				Evaluator struct {
					Type   string
					Params []float64
				}
			}
		}
	}
}

type duration time.Duration

func (d *duration) UnmarshalYAML(node *yaml.Node) error {
	parsed, err := time.ParseDuration(node.Value)
	*d = duration(parsed)
	return err
}

func (r *alertRule) sql() string { return r.Data[0].Model.RawSQL }

// limit is the threshold of the query's value.
func (r *alertRule) limit() float64 { return r.Data[1].Model.Conditions[0].Evaluator.Params[0] }

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	content, err := fs.ReadFile(grafana.Files(), name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func readYAML(t testing.TB, name string, into any) {
	t.Helper()
	if err := yaml.Unmarshal(readFile(t, name), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func alertRules(t testing.TB) []alertRule {
	t.Helper()
	var file struct {
		Groups []struct {
			Folder, Interval string
			Rules            []alertRule
		}
	}
	readYAML(t, "alerting/rules.yaml", &file)
	if len(file.Groups) != 1 || file.Groups[0].Folder != "Heartbeat" || file.Groups[0].Interval != "1m" {
		t.Fatalf("rules are not in one group of the folder Heartbeat, evaluated each minute: %+v", file.Groups)
	}
	return file.Groups[0].Rules
}

func TestFiveAlertRulesAreComplete(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"invalid": "warning", "tachycardia": "warning", "bradycardia": "warning",
		"anomaly_rate": "critical", "stalled": "critical",
	}
	rules := alertRules(t)
	if len(rules) != len(want) {
		t.Errorf("there are %d rules, want %d", len(rules), len(want))
	}
	panels := map[int]panel{}
	for _, panel := range readDashboard(t, "main.json").Panels {
		panels[panel.ID] = panel
	}
	seen := map[string]bool{}
	for _, rule := range rules {
		if seen[rule.UID] || len(rule.UID) == 0 || len(rule.UID) > 40 {
			t.Errorf("rule %q: the uid %q is not unique, or not of 1 to 40 characters", rule.Title, rule.UID)
		}
		seen[rule.UID] = true
		kind := rule.Labels["type"]
		if severity, ok := want[kind]; !ok || rule.Labels["severity"] != severity {
			t.Errorf("rule %q has the labels %v", rule.Title, rule.Labels)
		}
		delete(want, kind)
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("rule %q does not say what happened and what to do", rule.Title)
		}
		if _, ok := panels[rule.PanelID]; !ok || rule.DashboardUID != "heartbeat-main" {
			t.Errorf("rule %q leads to panel %d of %s, which does not exist", rule.Title, rule.PanelID, rule.DashboardUID)
		}
		checkChain(t, rule)
	}
}

// checkChain checks that a rule is a query for one number and a threshold on it.
func checkChain(t *testing.T, rule alertRule) {
	t.Helper()
	if len(rule.Data) != 2 || rule.Condition != "B" {
		t.Fatalf("rule %q: want a query A and a threshold B", rule.Title)
	}
	query, threshold := rule.Data[0], rule.Data[1]
	if query.RefID != "A" || query.Model.RefID != "A" || query.DatasourceUID != "heartbeat-postgres" || query.Model.Format != "table" {
		t.Errorf("rule %q: the query is not a table of heartbeat-postgres: %+v", rule.Title, query)
	}
	if threshold.RefID != "B" || threshold.DatasourceUID != "__expr__" || threshold.Model.Type != "threshold" ||
		threshold.Model.Expression != "A" || threshold.Model.Conditions[0].Evaluator.Type != "gt" {
		t.Errorf("rule %q: the condition is not a threshold above A: %+v", rule.Title, threshold)
	}
	if rule.For <= 0 {
		t.Errorf("rule %q fires on one evaluation alone", rule.Title)
	}
}

// An outage raises one alert.
func TestOnlyTheStalledRuleFiresWithoutADatabase(t *testing.T) {
	t.Parallel()
	for _, rule := range alertRules(t) {
		want := "OK"
		if rule.Labels["type"] == "stalled" {
			want = "Alerting"
		}
		if rule.NoDataState != want || rule.ExecErrState != want {
			t.Errorf("rule %q: without data %s, on an error %s, want %s", rule.Title, rule.NoDataState, rule.ExecErrState, want)
		}
	}
}

func TestAlertRulesHaveNoDollarSign(t *testing.T) {
	t.Parallel()
	if strings.Contains(string(readFile(t, "alerting/rules.yaml")), "$") {
		t.Error("rules.yaml has a dollar sign: some versions of Grafana expand it, some do not")
	}
}

func TestAlertsGoToTheWebhookGroupedByFolderAndRule(t *testing.T) {
	t.Parallel()
	type route struct {
		Receiver string
		GroupBy  []string `yaml:"group_by"`
		Routes   []route
	}
	var file struct {
		ContactPoints []struct {
			Name      string
			Receivers []struct {
				UID, Type string
				Settings  map[string]string
			}
		} `yaml:"contactPoints"`
		Policies []route
	}
	readYAML(t, "alerting/notification.yaml", &file)
	if len(file.ContactPoints) != 1 || len(file.ContactPoints[0].Receivers) != 1 || len(file.Policies) != 1 {
		t.Fatalf("want one contact point with one receiver, and one policy: %+v", file)
	}
	receiver := file.ContactPoints[0].Receivers[0]
	if receiver.Type != "webhook" || receiver.Settings["url"] != "$HEARTBEAT_ALERT_WEBHOOK" {
		t.Errorf("the receiver is %+v, want a webhook whose address comes from the environment", receiver)
	}
	for _, route := range append(file.Policies[0].Routes, file.Policies[0]) {
		if route.Receiver != file.ContactPoints[0].Name || strings.Join(route.GroupBy, " ") != "grafana_folder alertname" {
			t.Errorf("a route goes to %s grouped by %v", route.Receiver, route.GroupBy)
		}
	}
}
