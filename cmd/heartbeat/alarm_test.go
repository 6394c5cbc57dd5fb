package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres/pgtest"
)

const (
	activeID = "00000000-0000-0000-0000-000000000001"
	closedID = "00000000-0000-0000-0000-000000000002"
)

// onDatabase returns a function that runs commands on a database with an active and a closed alarm.
func onDatabase(t *testing.T) func(args ...string) (code int, stdout, stderr string) {
	t.Helper()
	pool := pgtest.Database(t)
	pgtest.Exec(t, pool, `
INSERT INTO alarms (alarm_id, version, subject, condition, priority, current_priority, active, raised_at, active_since, onset_at, cleared_at, closed_at,
                    value, peak, "limit", kafka_topic, kafka_partition, kafka_offset, episode_first_offset, episode_last_offset)
VALUES ('`+activeID+`', 1, 'CUST_00042', 'rate_high', 'high', 'high', true, '2026-03-01 12:00Z', '2026-03-01 12:00Z', '2026-03-01 12:00Z', NULL, NULL,
        195, 199, 180, 'log', 0, 1, 1, NULL),
       ('`+closedID+`', 2, 'CUST_00043', 'rate_low', 'low', 'low', false, '2026-03-01 12:00Z', '2026-03-01 12:00Z', '2026-03-01 12:00Z',
        '2026-03-01 12:05Z', '2026-03-01 12:05Z', 35, 33, 40, 'log', 0, 2, 2, 3)`)
	return commandsOn(t, pool)
}

// commandsOn returns a function that runs commands on a database.
func commandsOn(t *testing.T, pool *pgxpool.Pool) func(args ...string) (code int, stdout, stderr string) {
	return func(args ...string) (int, string, string) {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append(args, "--database", pgtest.URL(pool)), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
}

func TestAlarmsFromTheCommandLine(t *testing.T) {
	t.Parallel()
	command := onDatabase(t)
	for _, step := range []struct {
		args string
		code int
		want string // in what is printed
	}{
		{"alarm list", 0, "high      active  CUST_00042  rate_high  195    180"},
		{"alarm list --state closed", 0, "CUST_00043"},
		{"alarm list --priority low", 0, "ALARM"},
		{"alarm ack --as anna " + activeID, 0, "acknowledged by anna until"},
		{"alarm ack --as ben --expected-version 1 " + activeID, 1, "acknowledged by anna at"},
		{"alarm snooze --as anna --for 16m --reason moving " + activeID, 1, "15m at most, not for 16m (snooze_too_long)"},
		{"alarm snooze --as anna --for 10m --reason moving " + activeID, 0, "snoozed until"},
		{"alarm assign --as anna --to ben " + activeID, 0, "version 4"},
		{"alarm comment --as anna --text walking " + activeID + " " + closedID, 0, "version 3"},
		{"alarm close --as anna " + activeID, 1, "(alarm_active)"},
		{"alarm ack --as anna " + closedID, 1, "(alarm_closed)"},
		{"alarm ack --as anna 00000000-0000-0000-0000-00000000000f", 1, "(alarm_not_found)"},
		{"alarm show " + activeID, 0, "walking"},
		{"alarm show 00000000-0000-0000-0000-00000000000f", 1, "there is no alarm"},
		{"alarm list --state open --after x", 2, "cursor"},
		{"alarm list --limit 0", 2, "--limit 0"},
		{"alarm ack 7", 2, "UUID"},
		{"alarm snooze --for 10m " + activeID, 2, "--reason"},
		{"alarm ack --expected-version 1 " + activeID + " " + closedID, 2, "--expected-version"},
		{"limits set --as anna --customer CUST_00042 --high 120 --hours 22:00-06:00 --reason medication", 0, "in force for readings from"},
		{"limits set --as anna --customer CUST_00042 --high 130 --hours 05:00-07:00 --reason medication", 1, "overlap"},
		{"limits set --as anna --customer CUST_00042 --high 99 --reason medication", 2, "want 100 to 230"},
		{"limits set --as anna --fleet --customer CUST_00042 --high 120 --reason medication", 2, "--fleet"},
		{"limits list --customer CUST_00042", 0, "22:00-06:00 UTC+00:00"},
		{"limits end --as anna --reason done 1", 0, "ends for readings from"},
		{"limits end --as ben --reason done 1", 1, "was ended by anna"},
		{"limits end --as ben --reason done 7", 1, "there is no limit 7"},
		{"limits cohort --as anna CUST_00042 ward-3", 0, "CUST_00042 is in ward-3"},
		{"limits cohort CUST_7", 2, "customer id"},
	} {
		code, stdout, stderr := command(strings.Fields(step.args)...)
		if code != step.code || !strings.Contains(stdout+stderr, step.want) {
			t.Errorf("%s: exit code %d, want %d and %q in\n%s%s", step.args, code, step.code, step.want, stdout, stderr)
		}
	}
	code, stdout, _ := command("alarm", "show", activeID, "--json")
	var shown struct {
		ID      string `json:"alarm_id"`
		By      string `json:"acknowledged_by"`
		History []struct {
			Kind  string `json:"kind"`
			Actor string `json:"actor"`
		} `json:"history"`
	}
	if err := json.Unmarshal([]byte(stdout), &shown); code != 0 || err != nil || shown.ID != activeID || shown.By != "anna" || len(shown.History) != 4 {
		t.Errorf("exit code %d, %v: %s", code, err, stdout)
	}
	if code, stdout, _ := command("alarm", "close", "--as", "anna", "--json", activeID); code != 1 || !strings.Contains(stdout, `"code": "alarm_active"`) {
		t.Errorf("exit code %d: %s", code, stdout)
	}
}

// Each command on alarms and limits prints JSON where asked, and each is an operation of the API too.
func TestAlarmCommandsPrintJSONAndAreInTheAPI(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../internal/web/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var description struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(text, &description); err != nil {
		t.Fatal(err)
	}
	command := onDatabase(t)
	for _, step := range []struct{ args, method, path, want string }{
		{"alarm list", "get", "/alarms", activeID},
		{"alarm show " + activeID, "get", "/alarms/{id}", `"history"`},
		{"alarm ack --as anna " + activeID, "post", "/alarms/{id}/ack", `"acknowledged_by": "anna"`},
		{"alarm snooze --as anna --for 10m --reason moving " + activeID, "post", "/alarms/{id}/snooze", `"snoozed_by": "anna"`},
		{"alarm close --as anna " + activeID, "post", "/alarms/{id}/close", `"code": "alarm_active"`},
		{"alarm assign --as anna --to ben " + activeID, "post", "/alarms/{id}/assign", `"assigned_to": "ben"`},
		{"alarm comment --as anna --text walking " + activeID, "post", "/alarms/{id}/comment", `"note": "walking"`},
		{"limits set --as anna --customer CUST_00042 --high 120 --reason medication", "post", "/limits", `"high": 120`},
		{"limits list", "get", "/limits", `"limit_id": 1`},
		{"limits end --as anna --reason done 1", "post", "/limits/{id}/end", `"ended_by": "anna"`},
	} {
		_, stdout, stderr := command(append(strings.Fields(step.args), "--json")...)
		if !json.Valid([]byte(stdout)) || !strings.Contains(stdout, step.want) {
			t.Errorf("%s --json: want JSON with %s, got\n%s%s", step.args, step.want, stdout, stderr)
		}
		if description.Paths["/api/v1"+step.path][step.method] == nil {
			t.Errorf("%s is not in openapi.json as %s /api/v1%s", step.args, step.method, step.path)
		}
	}
}

// What a person wrote cannot steer the terminal of another, nor look like a line of the list.
func TestTextOfOthersIsPrintedOnOneLine(t *testing.T) {
	t.Parallel()
	command := onDatabase(t)
	for _, args := range [][]string{{"comment", "--as", "anna", "--text", "walking\r\nCUST_00042 is well\u202eend"}, {"assign", "--as", "anna", "--to", "ben\u202eend"}} {
		if code, stdout, stderr := command(append(append([]string{"alarm"}, args...), activeID)...); code != exitOK {
			t.Fatalf("%v: exit code %d: %s%s", args, code, stdout, stderr)
		}
	}
	for _, printed := range []struct {
		args []string
		want string
	}{{[]string{"alarm", "show", activeID}, "walking  CUST_00042 is well\ufffdend"}, {[]string{"alarm", "list"}, "ben\ufffdend"}} {
		_, stdout, _ := command(printed.args...)
		if strings.ContainsAny(stdout, "\r\u202e") || strings.Contains(stdout, "\nCUST") || !strings.Contains(stdout, printed.want) {
			t.Errorf("%v prints %q, want %q in it", printed.args, stdout, printed.want)
		}
	}
	if _, stdout, _ := command("alarm", "show", activeID, "--json"); !strings.Contains(stdout, `"walking\r\nCUST_00042 is well`) {
		t.Errorf("JSON has another text: %s", stdout)
	}
	// What was stored before such characters were refused, and the text of devices.
	if got, want := onOneLine("a\x1b[2J\u0085b"), "a\ufffd[2J\ufffdb"; got != want {
		t.Errorf("printed as %q, want %q", got, want)
	}
}
