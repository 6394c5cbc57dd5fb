package app_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/twmb/franz-go/pkg/kfake"

	"heartbeat/internal/app"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/userstore"
	"heartbeat/internal/testkit/fakekafka"
	"heartbeat/internal/users"
)

const (
	activeID = "00000000-0000-0000-0000-000000000001"
	closedID = "00000000-0000-0000-0000-000000000002"
)

// insertAlarms stores an active alarm of high priority, and one that is closed.
func insertAlarms(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	pgtest.Exec(t, pool, `
INSERT INTO alarms (alarm_id, version, subject, condition, priority, current_priority, active, raised_at, active_since, onset_at, cleared_at, closed_at,
                    value, peak, "limit", kafka_topic, kafka_partition, kafka_offset, episode_first_offset, episode_last_offset)
VALUES ('`+activeID+`', 1, 'CUST_00042', 'rate_high', 'high', 'high', true, '2026-03-01 12:00Z', '2026-03-01 12:00Z', '2026-03-01 12:00Z', NULL, NULL,
        195, 199, 180, 'log', 0, 1, 1, NULL),
       ('`+closedID+`', 2, 'CUST_00043', 'rate_low', 'low', 'low', false, '2026-03-01 12:00Z', '2026-03-01 12:00Z', '2026-03-01 12:00Z',
        '2026-03-01 12:05Z', '2026-03-01 12:05Z', 35, 33, 40, 'log', 0, 2, 2, 3)`)
}

// What a client does wrong has a status, a stable code and a sentence, and changes nothing. The console and its database are real.
func TestBadInputIsAnsweredWithStatusCodeAndSentence(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	insertAlarms(t, pool)
	people := userstore.New(pool)
	for name, role := range map[string]users.Role{"anna": users.Operator, "ben": users.Operator, "carl": users.Viewer, "dora": users.Admin} {
		if err := people.Add(t.Context(), name, role, users.HashPassword(annasPassword)); err != nil {
			t.Fatal(err)
		}
	}
	url, _ := console(t, pgtest.URL(pool), app.ConsoleOptions{ProxyUserHeader: "X-Forwarded-User", TrustedProxies: []string{"192.0.2.0/24"}})
	cookies := map[string]*http.Cookie{}
	for _, name := range []string{"anna", "ben", "carl", "dora"} {
		cookies[name] = signIn(t, url, `{"name":"`+name+`","password":"`+annasPassword+`"}`)
	}
	const alarms, limits = "/api/v1/alarms/", "/api/v1/limits"
	for _, step := range []struct {
		who, path, body string
		status          int
		code, sentence  string // of what is accepted, a part of the body
	}{
		{"anna", alarms + closedID + "/ack", `{}`, 409, "alarm_closed", "was closed at 2026-03-01T12:05:00Z"},
		{"anna", alarms + "00000000-0000-0000-0000-00000000000f/ack", `{}`, 404, "alarm_not_found", "there is no alarm 0000"},
		{"anna", alarms + "42/ack", `{}`, 400, "bad_request", "is not an alarm's id"},
		{"carl", alarms + activeID + "/ack", `{}`, 403, "role_required", "takes the role operator"},
		{"", alarms + activeID + "/ack", `{}`, 401, "unauthorized", "sign in"},
		{"anna", alarms + activeID + "/close", `{}`, 409, "alarm_active", "can be closed by hand"},
		{"anna", alarms + activeID + "/snooze", `{"note": "moving", "for_seconds": 901}`, 400, "snooze_too_long", "15m at most"},
		{"anna", alarms + activeID + "/snooze", `{"note": "moving", "for_seconds": 0}`, 400, "bad_request", "longer than nothing"},
		{"anna", alarms + activeID + "/ack", `{"expected_version": 1}`, 200, "", `"acknowledged_by":"anna"`},
		{"anna", alarms + activeID + "/ack", `{"expected_version": 1}`, 200, "", `"version":2`}, // repeated after an unknown outcome
		{"ben", alarms + activeID + "/ack", `{"expected_version": 1}`, 409, "version_conflict", "acknowledged by anna at"},
		{"ben", alarms + activeID + "/ack", `{"expected_version": 9}`, 409, "version_conflict", "version 9 does not exist yet"},
		{"ben", alarms + "ack", `{"expected_version": 2, "alarms": [{"alarm_id": "` + activeID + `"}]}`, 400, "bad_request", "to each of alarms"},
		{"ben", alarms + "assign", `{"assignee": "x", "alarms": [{"alarm_id": "` + activeID + `"}, {"alarm_id": "7"}]}`, 400, "bad_request", "is not an alarm's id"},

		{"anna", limits, `{"scope": "person", "customer_id": "CUST_00042", "high": 99, "reason": "x"}`, 400, "limit_out_of_range", "want 100 to 230"},
		{"anna", limits, `{"scope": "person", "customer_id": "CUST_00042", "high": 231, "reason": "x"}`, 400, "limit_out_of_range", "want 100 to 230"},
		{"anna", limits, `{"scope": "person", "customer_id": "CUST_00042", "low": 24, "reason": "x"}`, 400, "limit_out_of_range", "want 25 to 60"},
		{"anna", limits, `{"scope": "person", "customer_id": "CUST_00042", "low": 61, "reason": "x"}`, 400, "limit_out_of_range", "want 25 to 60"},
		{"anna", limits, `{"scope": "person", "customer_id": "CUST_00042", "reason": "x"}`, 400, "bad_request", "low, high or both"},
		{"anna", limits, `{"scope": "person", "customer_id": "CUST_00042", "high": 150}`, 400, "reason_required", "carries a reason"},
		{"anna", limits, `{"scope": "person", "customer_id": "CUST_00042", "high": 150, "hours": "22:00-06:00", "reason": "x"}`, 200, "", `"limit_id":1`},
		{"anna", limits, `{"scope": "person", "customer_id": "CUST_00042", "high": 150, "hours": "05:00-07:00", "reason": "x"}`, 409, "limit_overlap", "end that one first"},
		{"anna", limits, `{"scope": "person", "customer_id": "CUST_00042", "high": 150, "hours": "25:00-07:00", "reason": "x"}`, 400, "bad_request", "want such as 22:00-06:00"},
		{"anna", limits, `{"scope": "person", "customer_id": "CUST_00042", "high": 150, "reason": "x", "effective_from": "2030-01-02T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z"}`,
			400, "bad_request", "would end at 2030-01-01T00:00:00Z, before it takes effect at 2030-01-02T00:00:00Z"},
		{"anna", limits, `{"scope": "person", "customer_id": "CUST_00042", "high": 150, "reason": "x", "ends_at": "9999-12-31T23:59:59-14:00"}`, 400, "bad_request", "ends_at is outside the years"},
		{"anna", limits, `{"scope": "person", "customer_id": "CUST_00042", "high": 150, "reason": "x", "effective_from": "9999-12-31T23:59:59-14:00"}`, 400, "bad_request", "effective_from is outside the years"},
		{"anna", limits, `{"scope": "person", "customer_id": "CUST_00042", "high": 150, "reason": "x", "ends_at": "0001-01-01T00:00:00Z"}`, 400, "bad_request", "ends_at is outside the years"},
		{"anna", limits, `{"scope": "person", "customer_id": "CUST_00042", "high": 150, "reason": "x\u001b[2J"}`, 400, "bad_request", "the reason has a control character"},
		{"dora", limits, `{"scope": "cohort", "cohort": "\u0000", "high": 150, "reason": "x"}`, 400, "bad_request", "the cohort's name has a control character"},
		{"anna", alarms + activeID + "/comment", `{"note": "\u0000"}`, 400, "bad_request", "the text has a control character"},
		{"anna", alarms + activeID + "/assign", `{"assignee": "a\nb"}`, 400, "bad_request", "assigned to has a control character"},
		{"", "/api/v1/session", `{"name": "\u0000", "password": "x"}`, 403, "wrong_credentials", "the name or the password is wrong"},
		{"anna", limits, `{"scope": "fleet", "high": 150, "reason": "x"}`, 403, "role_required", "takes the role admin"},
		{"carl", limits, `{"scope": "person", "customer_id": "CUST_00042", "high": 150, "reason": "x"}`, 403, "role_required", "takes the role operator"},
		{"anna", limits + "/1/end", `{"reason": "done"}`, 200, "", `"ended_by":"anna"`},
		{"ben", limits + "/1/end", `{"reason": "done"}`, 409, "limit_ended", "was ended by anna"},
		{"ben", limits + "/7/end", `{"reason": "done"}`, 404, "limit_not_found", "there is no limit 7"},
	} {
		status, text, _ := ask(t, http.MethodPost, url+step.path, step.body, cookies[step.who])
		wantProblem(t, step.who+" "+step.path+" "+step.body, status, text, step.status, step.code, step.sentence)
	}
	pgtest.WantRows(t, pool, `SELECT kind, actor FROM alarm_events`, `acknowledged anna`)

	forged, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+alarms+activeID+"/close", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	forged.Header.Set("Content-Type", "application/json")
	forged.Header.Set("X-Forwarded-User", "dora")
	status, text := send(t, forged)
	wantProblem(t, "forged proxy header", status, text, http.StatusUnauthorized, "untrusted_proxy", "counts from trusted proxies only")

	pgtest.Exec(t, pool, `UPDATE console_sessions SET expires_at = now()`)
	pgtest.Await(t, "the session to expire", func() bool {
		status, text, _ = ask(t, http.MethodPost, url+alarms+activeID+"/ack", `{}`, cookies["anna"])
		return status != http.StatusOK
	})
	wantProblem(t, "expired session", status, text, http.StatusUnauthorized, "session_expired", "sign in")
}

func send(t *testing.T, r *http.Request) (status int, text string) {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// wantProblem compares an answer. Without a code it is none.
func wantProblem(t *testing.T, what string, status int, text string, wantStatus int, code, sentence string) {
	t.Helper()
	var problem struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}
	if err := json.Unmarshal([]byte(text), &problem); err != nil {
		t.Errorf("%s: %v: %s", what, err, text)
	}
	said := problem.Detail
	if code == "" {
		said = text
	}
	if status != wantStatus || problem.Code != code || !strings.Contains(said, sentence) {
		t.Errorf("%s: %d %s, want %d, %q and %q", what, status, text, wantStatus, code, sentence)
	}
}

// The consumer counts transitions and times them, and the console measures what is open.
func TestMetricsOfAlarms(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t, kfake.SeedTopics(3, topic))
	pool := pgtest.Database(t)
	brokers := kafka.Config{Brokers: cluster.ListenAddrs(), Topic: topic, Logger: slog.New(slog.DiscardHandler)}
	sender, err := producer.New(t.Context(), producer.Config{Config: brokers})
	if err != nil {
		t.Fatal(err)
	}
	const interval, count = 5 * time.Second, 8
	began := time.Now().Add(-count * interval)
	for i := range count {
		if err := sender.Send(heartbeat.Event{Customer: 42, Rate: 195, Time: began.Add(time.Duration(i) * interval)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := sender.Close(); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	if err := app.Consume(t.Context(), app.ConsumeOptions{
		Kafka: brokers, Group: "heartbeat-consumer-group", Database: postgres.Options{URL: pgtest.URL(pool)}, UntilCaughtUp: true,
		Registry: registry, Logger: brokers.Logger,
	}); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`heartbeat_alarm_transitions_total{condition="rate_high",kind="raised"} 1`, "heartbeat_alarm_delay_seconds_count 1",
		`heartbeat_alarm_delay_seconds_bucket{le="10"} 0`, // 15 s beyond the limit come before an alarm
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the consumer's metrics have no %s", want)
		}
	}

	url, _ := console(t, pgtest.URL(pool), app.ConsoleOptions{})
	scrape := func() string {
		_, text, _ := ask(t, http.MethodGet, url+"/metrics", "", nil)
		return text
	}
	const labels = `{condition="rate_high",priority="high"}`
	var text string
	pgtest.Await(t, "the console to measure the alarm", func() bool {
		text = scrape()
		return strings.Contains(text, "heartbeat_alarms_open"+labels+" 1\n")
	})
	if !strings.Contains(text, "heartbeat_alarms_unacknowledged"+labels+" 1\n") || strings.Contains(text, "heartbeat_alarms_oldest_unacknowledged_seconds 0\n") {
		t.Errorf("want one unacknowledged alarm and its age:\n%s", text)
	}
	id := pgtest.Value[string](t, pool, `SELECT alarm_id::text FROM alarms`)
	if status, text, _ := ask(t, http.MethodPost, url+"/api/v1/alarms/"+id+"/ack", `{}`, nil); status != http.StatusOK {
		t.Fatalf("the acknowledgement got %d %s", status, text)
	}
	pgtest.Await(t, "the acknowledgement to be measured", func() bool {
		text = scrape()
		return strings.Contains(text, "heartbeat_alarms_unacknowledged"+labels+" 0\n")
	})
	if !strings.Contains(text, "heartbeat_alarms_oldest_unacknowledged_seconds 0\n") {
		t.Error("an acknowledged alarm counts as the oldest unacknowledged one")
	}
}
