package destination_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"heartbeat/internal/notify"
	"heartbeat/internal/notify/destination"
)

const routingKey = "0123456789abcdef0123456789abcdef"

// pagerDuty takes what the documentation allows, answers 400 to anything else, and keeps the state of each incident.
type pagerDuty struct {
	*httptest.Server
	schema    *jsonschema.Schema
	answer    int
	received  []map[string]any
	incidents map[string]string
}

func newPagerDuty(t *testing.T) *pagerDuty {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("testdata/pagerduty.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	p := &pagerDuty{schema: schema, answer: http.StatusAccepted, incidents: map[string]string{}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		event, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err == nil {
			err = p.schema.Validate(event)
		}
		if err != nil || r.URL.Path != "/v2/enqueue" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("PagerDuty would refuse %s: %v", body, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if p.answer == http.StatusAccepted {
			fields := event.(map[string]any)
			p.received = append(p.received, fields)
			p.incidents[fields["dedup_key"].(string)] = fields["event_action"].(string)
		}
		w.WriteHeader(p.answer)
	}))
	t.Cleanup(p.Close)
	return p
}

// sender returns a sender to the receiver.
func (p *pagerDuty) sender(t *testing.T, words notify.Words) destination.Sender {
	t.Helper()
	t.Setenv("ROUTING_KEY", routingKey)
	return sendersWith(t, `
destinations: {duty: {pagerduty: {routing_key: {variable: ROUTING_KEY}, url: "`+p.URL+`/v2/enqueue", allow: [127.0.0.1]}}}
routes: [{to: [duty]}]`, words)["duty"]
}

func send(t *testing.T, sender destination.Sender, message *notify.Message) destination.Result {
	t.Helper()
	body, err := sender.Encode(message)
	if err != nil {
		t.Fatal(err)
	}
	return sender.Send(t.Context(), destination.Delivery{ID: message.ID.String(), Body: body}, noon)
}

func TestPagerDutyTakesEachStepOfAnIncident(t *testing.T) {
	p := newPagerDuty(t)
	sender := p.sender(t, notify.Words{ConsoleURL: "https://heartbeat.example.org"})
	raise := raised(hostile)
	alarmOf := func(change func(a *notify.Alarm)) notify.Alarm {
		a := raise.Entries[0].Alarm
		change(&a)
		return a
	}
	for _, step := range []struct {
		message *notify.Message
		want    string
	}{
		{raise, "trigger"},
		{message(notify.Escalated, raise.Entries[0].Alarm), "trigger"},
		{message(notify.Acknowledged, alarmOf(func(a *notify.Alarm) { a.Acknowledged = true })), "acknowledge"},
		{message(notify.Cleared, alarmOf(func(a *notify.Alarm) { a.ClearedAt = noon })), "trigger"}, // ended, not seen
		{message(notify.Cleared, alarmOf(func(a *notify.Alarm) { a.Open = false })), "resolve"},
	} {
		if result := send(t, sender, step.message); result.Err != nil || result.Code != http.StatusAccepted {
			t.Fatalf("%s: %+v", step.message.Type, result)
		}
		if got := p.incidents[raise.Entries[0].Alarm.ID.String()]; got != step.want || len(p.incidents) != 1 {
			t.Errorf("after %s the incident is %q, want %q; incidents are %v", step.message.Type, got, step.want, p.incidents)
		}
	}
	if p.received[0]["routing_key"] != routingKey {
		t.Error("the routing key is not the file's")
	}
	storm := digest(1000)
	if result := send(t, sender, storm); result.Err != nil || p.incidents[storm.Incident.ID.String()] != "trigger" {
		t.Errorf("storm: %+v, incidents are %v", result, p.incidents)
	}
	test := &notify.Message{ID: storm.ID, Type: notify.Test, At: noon}
	if result := send(t, sender, test); result.Err != nil {
		t.Errorf("test: %+v", result)
	}
}

// The stored bytes have no secret: the key is added when they are sent.
func TestPagerDutyKeyIsNotStored(t *testing.T) {
	body, err := newPagerDuty(t).sender(t, notify.Words{}).Encode(raised("CUST_1"))
	if err != nil || bytes.Contains(body, []byte(routingKey)) {
		t.Errorf("the bytes are %s, %v", body, err)
	}
	var fields struct {
		Payload struct{ Summary string }
	}
	if err := json.Unmarshal(body, &fields); err != nil || !strings.Contains(fields.Payload.Summary, "rate_high of CUST_1, high") {
		t.Errorf("summary is %q, %v", fields.Payload.Summary, err)
	}
}

func TestPagerDutyAnswers(t *testing.T) {
	p := newPagerDuty(t)
	sender := p.sender(t, notify.Words{})
	for code, want := range map[int]struct{ taken, rejected bool }{
		202: {taken: true}, 400: {rejected: true}, 429: {}, 500: {}, 503: {}, 302: {},
	} {
		p.answer = code
		result := send(t, sender, raised("CUST_1"))
		if (result.Err == nil) != want.taken || result.Rejected != want.rejected || result.Code != code || result.Untaken == want.taken {
			t.Errorf("%d: %+v", code, result)
		}
	}
	if result := sender.Send(t.Context(), destination.Delivery{Body: []byte("From: a mail")}, time.Now()); !result.Rejected {
		t.Errorf("bytes of another kind: %+v, want them rejected", result)
	}
}
