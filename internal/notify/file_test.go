package notify_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"heartbeat/internal/alarm"
	"heartbeat/internal/notify"
)

const correct = `
console_url: https://heartbeat.example.org
destinations:
  ward: {webhook: {url: {file: FILE}, secrets: [{variable: WARD_SECRET}], allow: [10.0.0.0/8]}}
  doctor: {log: {}}
  night: {log: {}}
routes:
  - {to: [ward], priority: medium}
  - {to: [ward, doctor], conditions: [rate_low], cohorts: [ward 3]}
  - {to: [doctor], tier: 1}
  - to: [night]
    mute: [{from: "07:00", to: "22:00", time_zone: Europe/Berlin}, {from: "22:00", to: "02:00", days: [fri], time_zone: Europe/Berlin}]
watchdog: {url: https://example.org/ping}
`

func parse(t *testing.T, text string) (*notify.File, error) {
	t.Helper()
	t.Setenv("WARD_SECRET", "SwordfishMarker")
	path := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(path, []byte("https://hooks.example.org/SwordfishMarker\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return notify.Parse([]byte(strings.ReplaceAll(text, "FILE", path)))
}

func TestFileIsReadWithItsSecrets(t *testing.T) {
	file, err := parse(t, correct)
	if err != nil {
		t.Fatal(err)
	}
	ward := file.Destinations["ward"].Webhook
	if ward.URL.Value() != "https://hooks.example.org/SwordfishMarker" || ward.Secrets[0].Value() != "SwordfishMarker" || file.Watchdog.Every != time.Minute {
		t.Errorf("read %+v", ward)
	}
	for _, shown := range []string{ward.URL.String(), ward.Secrets[0].String()} {
		if strings.Contains(shown, "Swordfish") {
			t.Errorf("%s shows a secret", shown)
		}
	}
}

func TestWrongFilesAreRefused(t *testing.T) {
	for _, test := range [][3]string{
		{"priority: medium", "priority: urgent", "route 1: priority"},
		{"conditions: [rate_low]", "conditions: [rate]", "there is no condition"},
		{"tier: 1", "tier: 3", "route 3: tier"},
		{"to: [ward]", "to: [wart]", `no destination "wart"`},
		{"to: [night]", "to: []", "at least one"},
		{"console_url", "console_ulr", "field console_ulr not found"},
		{"secrets: [{variable: WARD_SECRET}]", "secrets: []", "secrets"},
		{"{variable: WARD_SECRET}", "SwordfishMarker", "not the secret itself"},
		{"{variable: WARD_SECRET}", "{variable: SwordfishMarker}", "line 4: the variable or file that it names is empty"},
		{"{variable: WARD_SECRET}", "*SwordfishMarker", "unknown anchor … referenced"},
		{"tier: 1", "tier: SwordfishMarker", "cannot unmarshal !!str … into int16"},
		{"{variable: WARD_SECRET}", "{variable: A, file: B}", "either variable or file"},
		{"{file: FILE}", "{file: /there/is/none}", "line 4"},
		{"{file: FILE}", "ftp://example.org", "url"},
		{"{file: FILE}", "https://user:SwordfishMarker@example.org", "url"},
		{"doctor: {log: {}}", "doctor: {}", "exactly one"},
		{"doctor: {log: {}}", `"Doctor\r\n": {log: {}}`, "want a name"},
		{"Europe/Berlin", "Europe/Atlantis", "time_zone"},
		{`from: "07:00"`, `from: "7"`, "from"},
		{"days: [fri]", "days: [friday]", "days"},
		{"watchdog: {url: https://example.org/ping}", "watchdog: {url: https://example.org/ping, every: 1s}", "watchdog: every"},
		{correct, "", "destinations"},
		{"watchdog:", "---\nwatchdog:", "one YAML document"},
	} {
		text := strings.Replace(correct, test[0], test[1], 1)
		if text == correct {
			t.Fatalf("%q is not in the file", test[0])
		}
		if _, err := parse(t, text); err == nil || !strings.Contains(err.Error(), test[2]) || strings.Contains(err.Error(), "Swordfish") {
			t.Errorf("%q: %v, want an error about %q without a secret", test[1], err, test[2])
		}
	}
}

func TestEachKindIsChecked(t *testing.T) {
	for text, want := range map[string]string{
		"alertmanager: {url: http://am:9093}": "",
		"alertmanager: {}":                    "url",
		"alertmanager: {url: http://am:9093, authorization: {file: TWO}}":                        "authorization",
		"alertmanager: {url: http://am:9093}, log: {}":                                           "exactly one",
		"pagerduty: {routing_key: {file: KEY}}":                                                  "",
		"pagerduty: {routing_key: {file: KEY}, url: https://events.eu.pagerduty.com/v2/enqueue}": "",
		"pagerduty: {routing_key: {variable: WARD_SECRET}}":                                      "32 characters",
		"pagerduty: {}": "routing_key",
		"email: {server: 'smtp.example.org:587', from: a@example.org, to: [b@example.org]}":             "",
		"email: {server: smtp.example.org, from: a@example.org, to: [b@example.org]}":                   "server",
		"email: {server: 'smtp.example.org:0', from: a@example.org, to: [b@example.org]}":               "server",
		"email: {server: 'x:587', tls: maybe, from: a@example.org, to: [b@example.org]}":                "tls",
		"email: {server: 'x:587', from: 'A <a@example.org>', to: [b@example.org]}":                      "from",
		"email: {server: 'x:587', from: a@example.org, to: []}":                                         "to",
		`email: {server: 'x:587', from: a@example.org, to: ["b@example.org\r\nBcc: c@example.org"]}`:    "to",
		"email: {server: 'x:587', from: a@example.org, to: [b@example.org], user: a}":                   "user and password",
		"email: {server: 'x:587', from: a@example.org, to: [b@example.org], password: SwordfishMarker}": "not the secret itself",
		"email: {server: 'x:587', from: a@example.org, to: [b@example.org], subject: '{{.Subject}}'}":   "field subject not found",
	} {
		directory := t.TempDir()
		for name, content := range map[string]string{"KEY": strings.Repeat("k", 32), "TWO": "Bearer x\r\nCookie: SwordfishMarker"} {
			path := filepath.Join(directory, name)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			text = strings.ReplaceAll(text, name, path)
		}
		_, err := parse(t, "destinations: {it: {"+text+"}}\nroutes: [{to: [it]}]")
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Swordfish")) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestRoutes(t *testing.T) {
	file, err := parse(t, correct)
	if err != nil {
		t.Fatal(err)
	}
	router := notify.NewRouter(file)
	monday := time.Date(2026, 2, 16, 12, 0, 0, 0, time.UTC) // 13:00 in Berlin
	event := func(kind alarm.Kind, priority alarm.Priority, tier int16) *notify.Event {
		return &notify.Event{Kind: kind, Tier: tier, Alarm: notify.Alarm{Condition: alarm.RateHigh, Priority: priority}}
	}
	ofCohort := event(alarm.Raised, alarm.Low, 0)
	ofCohort.Alarm.Condition, ofCohort.Alarm.Cohort = alarm.RateLow, "ward 3"
	for _, test := range []struct {
		event *notify.Event
		now   time.Time
		want  string
	}{
		{event(alarm.Raised, alarm.High, 0), monday, "ward"},
		{event(alarm.Raised, alarm.High, 0), monday.Add(8 * time.Hour), "ward"},                               // 21:00
		{event(alarm.Raised, alarm.High, 0), monday.Add(9 * time.Hour), "night ward"},                         // 22:00
		{event(alarm.Raised, alarm.High, 0), monday.Add(13 * time.Hour), "night ward"},                        // 02:00 of Tuesday
		{event(alarm.Raised, alarm.High, 0), monday.Add(4*24*time.Hour + 13*time.Hour - time.Minute), "ward"}, // 01:59 of Saturday: of Friday's span
		{event(alarm.Raised, alarm.High, 0), monday.Add(4*24*time.Hour + 13*time.Hour), "night ward"},
		{event(alarm.Raised, alarm.High, 0), monday.AddDate(0, 5, 0).Add(8 * time.Hour), "night ward"}, // 22:00 in summer
		{event(alarm.Raised, alarm.Low, 0), monday, ""},
		{ofCohort, monday, "doctor ward"},
		{event(alarm.Escalated, alarm.High, 1), monday, "doctor"},
		{event(alarm.Escalated, alarm.High, 2), monday, "doctor"}, // there is no third tier
	} {
		got, calls := router.Route(test.event, test.now)
		if strings.Join(got, " ") != test.want || !calls {
			t.Errorf("%s of %s, tier %d at %s: %v, want %s", test.event.Kind, test.event.Alarm.Priority, test.event.Tier, test.now, got, test.want)
		}
	}
	for _, kind := range []alarm.Kind{alarm.Acknowledged, alarm.Cleared, alarm.Closed, alarm.Eased, alarm.Commented} {
		if got, calls := router.Route(event(kind, alarm.High, 0), monday); calls || len(got) != 0 {
			t.Errorf("%s calls %v", kind, got)
		}
	}
}

// No message has the heart rate or what a person wrote, and what comes from outside is data, not structure.
func TestMessagesCarryNoHealthDataUnlessAsked(t *testing.T) {
	t.Parallel()
	subject := "CUST_1\"}\r\nBcc: x@example.org {{.}} <script>"
	message := &notify.Message{Type: notify.Raised, At: noon, Entries: []notify.Entry{{
		Type: notify.Raised, Events: []notify.Type{notify.Raised}, Alarm: notify.Alarm{
			ID: uuid.MustParse("6f1c0b5e-52a7-4d0f-a1c3-0c9b6b2f6e11"), Subject: subject, Condition: alarm.RateHigh, Priority: alarm.High, Since: noon, Value: 201, Peak: 202, Limit: 180,
		},
	}}}
	for withValues, want := range map[bool][]string{
		false: {"alarm_id", "condition", "events", "priority", "since", "subject", "tier", "url", "version"},
		true:  {"alarm_id", "condition", "events", "limit", "peak", "priority", "since", "subject", "tier", "url", "value", "version"},
	} {
		body, err := notify.Words{ConsoleURL: "https://example.org", WithValues: withValues}.JSON(message)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Type string
			Data map[string]any
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		var names []string
		for name := range got.Data {
			names = append(names, name)
		}
		slices.Sort(names)
		if !slices.Equal(names, want) || got.Type != "alarm.raised" || got.Data["subject"] != subject || strings.ContainsAny(string(body), "\r\n<") {
			t.Errorf("with values %t: %s", withValues, body)
		}
		if link := got.Data["url"].(string); strings.ContainsAny(link, " \r\n\"<") {
			t.Errorf("the link is %q", link)
		}
	}
}
