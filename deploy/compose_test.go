// Package deploy_test holds the files that run Heartbeat in containers against what Docker Compose and Kubernetes take, and
// against our own rules: no service runs as root, nothing is writable, nothing listens beyond the machine unasked.
package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// loadCompose reads compose.yaml as Docker Compose does, its schema and references included, with these variables.
func loadCompose(t *testing.T, variables ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"compose.yaml"}, cli.WithProfiles([]string{"*"}), cli.WithEnv(variables))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("compose.yaml: %v", err)
	}
	return project
}

func TestComposeHasEveryPart(t *testing.T) {
	t.Parallel()
	project := loadCompose(t)
	for name, profiles := range map[string][]string{
		"kafka": nil, "topic": nil, "postgres": nil, "migrate": nil, "consume": nil, "produce": nil, "serve": nil, "notify": nil, "ingest": nil,
		"grafana": {"grafana"}, "prometheus": {"monitoring"},
	} {
		service, ok := project.Services[name]
		if !ok || !slices.Equal(service.Profiles, profiles) {
			t.Errorf("service %s: there is %t, with the profiles %v, want %v", name, ok, service.Profiles, profiles)
		}
	}
	if len(project.Services) != 11 {
		t.Errorf("there are %d services", len(project.Services))
	}
}

// version is a tag that says exactly what it is.
var version = regexp.MustCompile(`:v?[0-9]+\.[0-9]+`)

func TestComposeServicesAreLockedDown(t *testing.T) {
	t.Parallel()
	for name, service := range loadCompose(t).Services {
		if user, _, _ := strings.Cut(service.User, ":"); user == "" || user == "0" || user == "root" {
			t.Errorf("%s runs as %q", name, service.User)
		}
		if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) || len(service.CapAdd) > 0 || service.Privileged ||
			!slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: read-only %t, capabilities -%v +%v, %v", name, service.ReadOnly, service.CapDrop, service.CapAdd, service.SecurityOpt)
		}
		if service.NetworkMode != "" || service.Pid != "" || service.Ipc != "" {
			t.Errorf("%s shares a namespace with the host", name)
		}
		if service.Build == nil && !version.MatchString(service.Image) {
			t.Errorf("%s: the image %s is not pinned by version", name, service.Image)
		}
		if service.Deploy == nil || service.Deploy.Resources.Limits == nil || service.Deploy.Resources.Limits.MemoryBytes == 0 ||
			service.Deploy.Resources.Limits.NanoCPUs == 0 || service.Deploy.Resources.Limits.Pids == 0 {
			t.Errorf("%s may take all memory, processors or processes of the machine", name)
		}
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind && !volume.ReadOnly {
				t.Errorf("%s may write to %s of the host", name, volume.Source)
			}
		}
	}
}

func TestComposePortsAreTheContractsOnLoopback(t *testing.T) {
	t.Parallel()
	want := map[string]string{"kafka": "9092:9092", "postgres": "5433:5432", "serve": "8080:8080", "ingest": "8090:8090", "grafana": "3000:3000", "prometheus": "9090:9090"}
	project := loadCompose(t)
	for name, service := range project.Services {
		for _, port := range service.Ports {
			if got := port.Published + ":" + strconv.Itoa(int(port.Target)); port.HostIP != "127.0.0.1" || got != want[name] {
				t.Errorf("%s publishes %s on %q, want %s on 127.0.0.1", name, got, port.HostIP, want[name])
			}
			delete(want, name)
		}
	}
	if len(want) > 0 {
		t.Errorf("not published: %v", want)
	}
	if listeners := *project.Services["kafka"].Environment["KAFKA_ADVERTISED_LISTENERS"]; listeners != "HOST://localhost:9092,INTERNAL://kafka:9093" {
		t.Errorf("Kafka advertises %s", listeners)
	}
}

func TestComposeServersAndRolesHaveHealthChecksAndOrder(t *testing.T) {
	t.Parallel()
	services := loadCompose(t).Services
	for _, name := range []string{"kafka", "postgres", "consume", "produce", "serve", "notify", "ingest", "grafana", "prometheus"} {
		if check := services[name].HealthCheck; check == nil || check.Disable || len(check.Test) < 2 {
			t.Errorf("%s has no health check", name)
		}
	}
	for _, order := range []struct{ after, before, condition string }{
		{"topic", "kafka", types.ServiceConditionHealthy},
		{"migrate", "postgres", types.ServiceConditionHealthy},
		{"consume", "migrate", types.ServiceConditionCompletedSuccessfully},
		{"consume", "topic", types.ServiceConditionCompletedSuccessfully},
		{"serve", "migrate", types.ServiceConditionCompletedSuccessfully},
		{"notify", "migrate", types.ServiceConditionCompletedSuccessfully},
		{"ingest", "migrate", types.ServiceConditionCompletedSuccessfully},
		{"ingest", "topic", types.ServiceConditionCompletedSuccessfully},
		{"produce", "topic", types.ServiceConditionCompletedSuccessfully},
		{"grafana", "migrate", types.ServiceConditionCompletedSuccessfully},
	} {
		if got := services[order.after].DependsOn[order.before].Condition; got != order.condition {
			t.Errorf("%s waits for %s to be %q, want %s", order.after, order.before, got, order.condition)
		}
	}
}

func TestComposeKeepsDataInNamedVolumes(t *testing.T) {
	t.Parallel()
	project := loadCompose(t)
	for service, target := range map[string]string{
		"kafka": "/var/lib/kafka/data", "postgres": "/var/lib/postgresql", "consume": "/var/lib/state", "grafana": "/var/lib/grafana", "prometheus": "/prometheus",
	} {
		kept := slices.ContainsFunc(project.Services[service].Volumes, func(v types.ServiceVolumeConfig) bool {
			return v.Type == types.VolumeTypeVolume && v.Source == service && v.Target == target
		})
		if _, declared := project.Volumes[service]; !kept || !declared {
			t.Errorf("%s does not keep %s in a volume of its name", service, target)
		}
	}
	for _, service := range project.Services {
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind {
				if _, err := os.Stat(volume.Source); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// Every variable that the roles read is the contract's, with its default, and .env changes it.
// A consumer's instance id survives its container where the state directory is a volume that the image's user may write to.
func TestConsumersKeepTheirInstanceIDs(t *testing.T) {
	t.Parallel()
	home := loadCompose(t).Services["consume"].Environment["XDG_STATE_HOME"]
	if home == nil || *home != "/var/lib/state" {
		t.Errorf("the consumer's state directory is %v, want that of its volume", home)
	}
	stages := readDockerfile(t)
	if !slices.Contains(stages[len(stages)-1], instruction{"COPY", "--from=binary --chown=65532:65532 /state /var/lib/state"}) {
		t.Error("the image has no directory for the volume that belongs to its user")
	}
}

func TestComposeTakesTheContractsSettings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ service, variable, standard, from string }{
		{"consume", "KAFKA_TOPIC", "heartbeat-events", "KAFKA_TOPIC"},
		{"consume", "KAFKA_GROUP_ID", "heartbeat-consumer-group", "KAFKA_GROUP_ID"},
		{"consume", "LOG_LEVEL", "INFO", "LOG_LEVEL"},
		{"consume", "POSTGRES_PASSWORD", "heartbeat_pass", "HEARTBEAT_INGEST_PASSWORD"},
		{"produce", "CUSTOMER_POOL_SIZE", "10000", "CUSTOMER_POOL_SIZE"},
		{"produce", "GENERATION_INTERVAL_SECONDS", "0.5", "GENERATION_INTERVAL_SECONDS"},
		{"produce", "ANOMALY_INJECTION_RATE", "0.05", "ANOMALY_INJECTION_RATE"},
		{"produce", "INVALID_INJECTION_RATE", "0.005", "INVALID_INJECTION_RATE"},
		{"produce", "PRODUCER_WORKERS", "1", "PRODUCER_WORKERS"},
		{"postgres", "POSTGRES_DB", "heartbeat_db", "POSTGRES_DB"},
		{"postgres", "POSTGRES_USER", "heartbeat_user", "POSTGRES_USER"},
		{"postgres", "POSTGRES_PASSWORD", "heartbeat_pass", "POSTGRES_PASSWORD"},
		{"migrate", "POSTGRES_PASSWORD", "heartbeat_pass", "POSTGRES_PASSWORD"},
		{"migrate", "HEARTBEAT_GATEWAY_PASSWORD", "heartbeat_pass", "HEARTBEAT_GATEWAY_PASSWORD"},
		{"ingest", "POSTGRES_USER", "heartbeat_gateway", ""},
		{"ingest", "POSTGRES_PASSWORD", "heartbeat_pass", "HEARTBEAT_GATEWAY_PASSWORD"},
		{"serve", "HEARTBEAT_TOKEN", "heartbeat_pass", "HEARTBEAT_TOKEN"},
		{"grafana", "GF_SECURITY_ADMIN_PASSWORD", "heartbeat_pass", "GF_ADMIN_PASSWORD"},
		{"grafana", "GRAFANA_POSTGRES_USER", "heartbeat_grafana", ""},
	} {
		if got := *loadCompose(t).Services[test.service].Environment[test.variable]; got != test.standard {
			t.Errorf("%s: %s is %q, want %q", test.service, test.variable, got, test.standard)
		}
		if test.from == "" {
			continue
		}
		changed := loadCompose(t, test.from+"=7")
		if got := *changed.Services[test.service].Environment[test.variable]; got != "7" {
			t.Errorf("%s: %s is %q when %s is 7", test.service, test.variable, got, test.from)
		}
	}
	if got := loadCompose(t, "POSTGRES_PORT=6000").Services["postgres"].Ports[0].Published; got != "6000" {
		t.Errorf("PostgreSQL is published on %s when POSTGRES_PORT is 6000", got)
	}
}

// Grafana expands the variables in its files to nothing where they are not set.
func TestComposeSetsEveryVariableThatGrafanasFilesName(t *testing.T) {
	t.Parallel()
	environment := loadCompose(t).Services["grafana"].Environment
	for _, pattern := range []string{"datasources/*.yaml", "dashboards/*.yaml", "alerting/*.yaml"} {
		files, err := filepath.Glob("../grafana/provisioning/" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s (%v)", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range regexp.MustCompile(`\$([A-Z_]+)`).FindAllSubmatch(text, -1) {
				if _, set := environment[string(match[1])]; !set {
					t.Errorf("%s refers to %s, which the service grafana does not set", file, match[1])
				}
			}
		}
	}
}
