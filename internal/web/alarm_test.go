package web_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"heartbeat/internal/alarm"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/suggest"
	"heartbeat/internal/web"
)

// alarms is an AlarmStore and LimitStore with one of everything, which remembers what was asked.
type alarms struct {
	query  *alarm.Query
	action *alarm.Action
	limit  *alarm.Limit
}

var held = alarm.Alarm{
	ID: alarm.ID{15: 1}, Version: 3, Subject: "CUST_00042", Condition: alarm.RateHigh, Priority: alarm.High, CurrentPriority: alarm.High, Active: true,
	RaisedAt: noon(), ActiveSince: noon(), OnsetAt: noon(), Measure: alarm.Measure{Value: 195, Peak: 199, Limit: 180},
	AcknowledgedBy: "anna", AcknowledgedAt: noon(), AcknowledgedUntil: noon().Add(15 * time.Minute), SeenAt: noon(), Note: "=1+1",
	Position: alarm.Position{Log: "heartbeat-events"}, EpisodeLastOffset: -1,
}

func (a alarms) List(_ context.Context, query alarm.Query, _ time.Time) ([]alarm.Alarm, error) {
	if a.query != nil {
		*a.query = query
	}
	return []alarm.Alarm{held}, nil
}

func (a alarms) Alarm(_ context.Context, id alarm.ID) (alarm.Alarm, error) {
	if id != held.ID {
		return alarm.Alarm{}, &alarm.Error{Code: alarm.NotFound, Detail: "there is no such alarm"}
	}
	return held, nil
}

func (a alarms) History(context.Context, alarm.ID) ([]alarm.Event, error) {
	return []alarm.Event{
		{ID: alarm.ID{1}, Alarm: held.ID, Version: 1, Kind: alarm.Raised, At: noon(), Priority: alarm.High, Since: noon(), Measure: held.Measure, Position: &held.Position},
		{ID: alarm.ID{2}, Alarm: held.ID, Version: 2, Kind: alarm.Acknowledged, At: noon(), Actor: "anna", Until: noon()},
	}, nil
}

func (a alarms) Act(ctx context.Context, id alarm.ID, action alarm.Action, now time.Time) (alarm.Alarm, error) {
	if a.action != nil {
		*a.action = action
	}
	found, err := a.Alarm(ctx, id)
	if err != nil {
		return found, err
	}
	after, _, _, err := found.Act(action, []alarm.Event{{Version: 2, Kind: alarm.Acknowledged, Actor: "anna", At: noon()}}, alarm.ID{3}, now)
	return after, err
}

var limit = alarm.Limit{ID: 7, Scope: "person", Customer: "CUST_00042", High: 120, Hours: "22:00-06:00", Author: "anna", Reason: "x", MadeAt: noon(), EffectiveFrom: noon()}

func (a alarms) Limits(context.Context, alarm.LimitQuery, time.Time) ([]alarm.Limit, error) {
	return []alarm.Limit{limit}, nil
}

func (a alarms) SetLimit(_ context.Context, limit alarm.Limit) (alarm.Limit, error) {
	if a.limit != nil {
		*a.limit = limit
	}
	limit.ID, limit.MadeAt, limit.EffectiveFrom = 8, noon(), noon()
	return limit, limit.Check()
}

func (a alarms) SuggestLimits(_ context.Context, customer heartbeat.CustomerID, utcOffset int, _ time.Time) (suggest.Suggested, error) {
	evidence := suggest.Evidence{Stretches: 9000, Days: 9, Lowest: 45, Low: 50, Median: 70, High: 110, Highest: 140, Spread: 9.5}
	return suggest.Suggested{
		Customer: customer.String(), From: noon(), To: noon(), LowInForce: 40, HighInForce: 180, MinutesEach: 1,
		Suggestions: []suggest.Suggestion{{Low: 40, High: 150, Enough: true, Evidence: evidence}, {Hours: suggest.Night, UTCOffset: utcOffset, Evidence: evidence}},
	}, nil
}

func (a alarms) EndLimit(_ context.Context, id int64, author, reason string) (alarm.Limit, error) {
	if id != limit.ID {
		return alarm.Limit{}, &alarm.Error{Code: alarm.LimitNotFound, Detail: "there is no such limit"}
	}
	return limit, alarm.CheckEnd(author, reason)
}

const (
	heldID    = "00000000-0000-0000-0000-000000000001"
	unknownID = "00000000-0000-0000-0000-000000000009"
)

func post(handler http.Handler, path, body string) *httptest.ResponseRecorder {
	return do(handler, newPost(path, body))
}

func newPost(path, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestActionsOnAlarmsAreAnsweredAsDescribed(t *testing.T) {
	t.Parallel()
	document := description(t)
	server := newServer(t, nil)
	for path, test := range map[string]struct{ target, body string }{
		"/api/v1/alarms/{id}/ack":     {heldID + "/ack", `{"note": "on my way"}`},
		"/api/v1/alarms/{id}/snooze":  {heldID + "/snooze", `{"note": "moving", "for_seconds": 600, "expected_version": 3}`},
		"/api/v1/alarms/{id}/assign":  {heldID + "/assign", `{"assignee": "ben"}`},
		"/api/v1/alarms/{id}/comment": {heldID + "/comment", `{"note": "walking"}`},
		"/api/v1/alarms/{id}":         {"ack", `{"alarms": [{"alarm_id": "` + heldID + `"}, {"alarm_id": "` + unknownID + `"}]}`},
	} {
		w := post(server, "/api/v1/alarms/"+test.target, test.body)
		if w.Code != http.StatusOK {
			t.Errorf("%s: status %d: %s", test.target, w.Code, w.Body)
			continue
		}
		checkBody(t, document, test.target, document["paths"].(object)[path].(object)["post"].(object), "200", w)
	}
	for path, test := range map[string]struct{ target, body string }{
		"/api/v1/limits":          {"/api/v1/limits", `{"scope": "person", "customer_id": "CUST_00042", "high": 120, "reason": "medication"}`},
		"/api/v1/limits/{id}/end": {"/api/v1/limits/7/end", `{"reason": "done"}`},
	} {
		w := post(server, test.target, test.body)
		if w.Code != http.StatusOK {
			t.Errorf("%s: status %d: %s", test.target, w.Code, w.Body)
			continue
		}
		checkBody(t, document, test.target, document["paths"].(object)[path].(object)["post"].(object), "200", w)
	}
}

// Each refusal has its status, its stable code, and a sentence.
func TestWhatIsWrongWithAnActionIsSaid(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	alarmPath, limitPath := "/api/v1/alarms/"+heldID, "/api/v1/limits"
	for _, test := range []struct {
		path, body string
		status     int
		code       httpserver.Code
		sentence   string
	}{
		{"/api/v1/alarms/" + unknownID + "/ack", `{}`, 404, httpserver.AlarmNotFound, "there is no such alarm"},
		{"/api/v1/alarms/7/ack", `{}`, 400, httpserver.BadRequest, "is not an alarm's id"},
		{alarmPath + "/ack", `{"expected_version": 1}`, 409, httpserver.VersionConflict, "acknowledged by anna at"},
		{alarmPath + "/ack", `{"expected_version": -1}`, 400, httpserver.BadRequest, "expected_version"},
		{alarmPath + "/ack", `{"for_seconds": 1}`, 400, httpserver.BadRequest, "for_seconds"},
		{alarmPath + "/ack", `{"actor": "ben"}`, 400, httpserver.BadRequest, "actor"},
		{alarmPath + "/ack", `[]`, 400, httpserver.BadRequest, "openapi.json"},
		{alarmPath + "/snooze", `{"note": "x", "for_seconds": 901}`, 400, httpserver.SnoozeTooLong, "15m at most"},
		{alarmPath + "/snooze", `{"note": "x", "for_seconds": 99999999999999}`, 400, httpserver.SnoozeTooLong, "longer than a day"},
		{alarmPath + "/snooze", `{"note": "x", "for_seconds": -1}`, 400, httpserver.BadRequest, "want 1 or more"},
		{alarmPath + "/snooze", `{"for_seconds": 60}`, 400, httpserver.ReasonRequired, "needs a reason"},
		{alarmPath + "/close", `{}`, 409, httpserver.AlarmActive, "only an alarm that is not active"},
		{alarmPath + "/comment", `{"note": " "}`, 400, httpserver.BadRequest, "empty"},
		{alarmPath + "/comment", `{"note": "` + strings.Repeat("x", 2001) + `"}`, 400, httpserver.TextTooLong, "want 2000"},
		{"/api/v1/alarms/open", `{"alarms": [{"alarm_id": "` + heldID + `"}]}`, 400, httpserver.BadRequest, "no action"},
		{"/api/v1/alarms/ack", `{"alarms": []}`, 400, httpserver.BadRequest, "want 1 to 1000"},
		{limitPath, `{"scope": "person", "customer_id": "CUST_00042", "high": 99, "reason": "x"}`, 400, httpserver.LimitOutOfRange, "want 100 to 230"},
		{limitPath, `{"scope": "fleet", "high": 150, "reason": "x"}`, 403, httpserver.RoleRequired, "takes the role admin"},
		{limitPath, `{"scope": "person", "customer_id": "CUST_00042", "high": 150}`, 400, httpserver.ReasonRequired, "say why"},
		{limitPath, `{"scope": "person", "customer_id": "CUST_00042", "high": 150, "reason": "x", "ends_at": "0001-01-02T00:00:00Z"}`, 400, httpserver.BadRequest, "year"},
		{limitPath + "/9/end", `{"reason": "x"}`, 404, httpserver.LimitNotFound, "no such limit"},
		{limitPath + "/7/end", `{}`, 400, httpserver.ReasonRequired, "say why"},
	} {
		w := post(server, test.path, test.body)
		var problem httpserver.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
			t.Errorf("%s %s: %v", test.path, test.body, err)
		}
		if w.Code != test.status || problem.Code != test.code || !strings.Contains(problem.Detail, test.sentence) {
			t.Errorf("%s %.60s: %d %s %q, want %d %s and %q", test.path, test.body, w.Code, problem.Code, problem.Detail, test.status, test.code, test.sentence)
		}
	}
	w := do(server, httptest.NewRequest(http.MethodPost, alarmPath+"/ack", strings.NewReader(`{}`)))
	if w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("a body without a content type got %d", w.Code)
	}
}

func TestFiltersOfAlarmsArriveAtTheStore(t *testing.T) {
	t.Parallel()
	var query alarm.Query
	server := newServer(t, func(o *web.Options) { o.AlarmStore = alarms{query: &query} })
	cursor := alarm.CursorOf(&held, noon())
	path := "/api/v1/alarms?state=latched&unacknowledged=true&condition=rate_low&priority=medium&subject=CUST_00007&cohort=ward%203&person=anna" +
		"&from=2026-02-20T10:00:00Z&to=2026-02-20T11:00:00Z&limit=1&after=" + cursor.String()
	w := get(server, path)
	want := alarm.Query{
		Filter: alarm.FilterLatched, Unacknowledged: true, Condition: alarm.RateLow, Priority: alarm.Medium, Subject: "CUST_00007", Cohort: "ward 3",
		Person: "anna", From: noon().Truncate(time.Hour).Add(-2 * time.Hour), To: noon().Truncate(time.Hour).Add(-time.Hour), After: query.After, Limit: 1,
	}
	if w.Code != http.StatusOK || query != want || query.After == nil || *query.After != cursor {
		t.Errorf("status %d, query %+v after %+v, want %+v after %+v", w.Code, query, query.After, want, cursor)
	}
	if !strings.Contains(w.Body.String(), fmt.Sprintf(`"next":%q`, alarm.CursorOf(&held, time.Now()).String())) {
		t.Errorf("no cursor of the next page in %s", w.Body)
	}
	for _, wrong := range []string{"state=x", "condition=x", "priority=x", "after=x", "unacknowledged=1", "subject=%00"} {
		if w := get(server, "/api/v1/alarms?"+wrong); w.Code != http.StatusBadRequest {
			t.Errorf("%s got %d", wrong, w.Code)
		}
	}
}

func TestAlarmsAsCSV(t *testing.T) {
	t.Parallel()
	w := get(newServer(t, nil), "/api/v1/alarms?format=csv")
	const want = "00000000-0000-0000-0000-000000000001,CUST_00042,rate_high,high,active,2026-02-20T12:00:00.123456Z,,,195,199,180,0,anna," +
		"2026-02-20T12:00:00.123456Z,,'=1+1\r\n"
	if !strings.HasSuffix(w.Body.String(), want) || !strings.Contains(w.Header().Get("Content-Disposition"), ".csv") {
		t.Errorf("%v\n%s\nwant it to end with\n%s", w.Header(), w.Body, want)
	}
}

// Who acts is who is signed in: the body cannot say.
func TestActionsCarryTheirActor(t *testing.T) {
	t.Parallel()
	var action alarm.Action
	var set alarm.Limit
	server := newServer(t, func(o *web.Options) {
		store := alarms{action: &action, limit: &set}
		o.AlarmStore, o.LimitStore = store, store
	})
	post(server, "/api/v1/alarms/"+heldID+"/ack", `{}`)
	post(server, "/api/v1/limits", `{"scope": "person", "customer_id": "CUST_00042", "high": 150, "reason": "x"}`)
	if action.Actor != "local" || set.Author != "local" {
		t.Errorf("acts as %q, sets limits as %q; want local", action.Actor, set.Author)
	}
}

// OneUptime #3404: 130 KB of gzip that unpack to 128 MiB. No packed body is unpacked here, and one of that size is too large as it is.
func TestPackedBodyIsNotUnpacked(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write([]byte(`{"note": "`))
	for range 16 {
		_, _ = zip.Write(bytes.Repeat([]byte{'x'}, 1<<20))
	}
	_, _ = zip.Write([]byte(`"}`))
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	server := newServer(t, nil)
	send := func(body []byte) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/alarms/"+heldID+"/comment", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Content-Encoding", "gzip")
		return do(server, r)
	}
	checkProblem(t, send(packed.Bytes()), http.StatusUnsupportedMediaType, "unsupported_media_type")
	r := httptest.NewRequest(http.MethodPost, "/api/v1/alarms/"+heldID+"/comment", bytes.NewReader(append(packed.Bytes(), make([]byte, 128<<10)...)))
	r.Header.Set("Content-Type", "application/json")
	checkProblem(t, do(server, r), http.StatusRequestEntityTooLarge, "too_large")
}
