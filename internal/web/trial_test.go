package web_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/auth"
	"heartbeat/internal/dryrun"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/users"
	"heartbeat/internal/web"
)

// trials knows the dry run 3 of anna, and remembers what is asked.
type trials struct {
	err       error // of Start
	none      bool
	by        *string
	proposed  *[]alarm.Limit
	over      *dryrun.Period
	cancelled *int64
}

func (f trials) Start(by string, proposed []alarm.Limit, over dryrun.Period, now time.Time) (dryrun.Job, error) {
	if f.by != nil {
		*f.by, *f.proposed, *f.over = by, proposed, over
	}
	return dryrun.Job{ID: 3, By: by, Limits: proposed, Period: over, State: dryrun.Running, Started: now}, f.err
}

func (f trials) Latest() (dryrun.Job, bool) {
	return dryrun.Job{
		ID: 3, By: "anna", Limits: []alarm.Limit{limit}, Period: dryrun.Period{From: noon(), To: noon()}, State: dryrun.Done, Started: noon(), Ended: noon(),
		Read: 7, Records: 7, Changed: 1, Result: &dryrun.Result{
			Period: dryrun.Period{From: noon(), To: noon()}, Days: 0.5, Readings: 7, Changed: []dryrun.Changed{{Customer: "CUST_00042", Now: dryrun.Alarms{RateHigh: 1}}},
		},
	}, !f.none
}

func (f trials) Cancel(id int64) {
	if f.cancelled != nil {
		*f.cancelled = id
	}
}

const trialPath = "/api/v1/limits/trial"

func TestDryRunsAreAnsweredAsDescribed(t *testing.T) {
	t.Parallel()
	document := description(t)
	var by string
	var proposed []alarm.Limit
	var over dryrun.Period
	var cancelled int64
	server := newServer(t, func(o *web.Options) {
		o.Trials = trials{by: &by, proposed: &proposed, over: &over, cancelled: &cancelled}
	})
	operation := func(path, method string) object { return document["paths"].(object)[path].(object)[method].(object) }
	w := post(server, trialPath, `{"limits": [{"scope": "cohort", "cohort": "ward 3", "low": 35}, {"scope": "fleet", "high": 170}], "from": "2026-02-20T10:00:00+01:00", "to": "2026-02-20T11:00:00Z"}`)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	checkBody(t, document, trialPath, operation(trialPath, "post"), "200", w)
	if by != "local" || len(proposed) != 2 || proposed[0].Cohort != "ward 3" || proposed[1].High != 170 || over.To.Sub(over.From) != 2*time.Hour {
		t.Errorf("%s tries %+v over %+v", by, proposed, over)
	}
	if post(server, trialPath, `{"limits": [{"scope": "fleet", "high": 170}]}`); over.To.Sub(over.From) != 24*time.Hour || time.Since(over.To) > time.Minute {
		t.Errorf("unless given the time is %+v, want the last day", over)
	}
	for _, none := range []bool{false, true} {
		w := get(newServer(t, func(o *web.Options) { o.Trials = trials{none: none} }), trialPath)
		checkBody(t, document, trialPath, operation(trialPath, "get"), "200", w)
		if strings.Contains(w.Body.String(), `"trial":null`) != none {
			t.Errorf("without a dry run: %t; the answer is %s", none, w.Body)
		}
	}
	w = post(server, trialPath+"/3/cancel", ``)
	checkBody(t, document, trialPath, operation(trialPath+"/{id}/cancel", "post"), "200", w)
	if cancelled != 3 {
		t.Errorf("dry run %d was cancelled, want 3", cancelled)
	}
}

func TestWhatIsWrongWithADryRunIsSaid(t *testing.T) {
	t.Parallel()
	const fine = `"limits": [{"scope": "fleet", "high": 170}]`
	busy := func(o *web.Options) { o.Trials = trials{err: dryrun.ErrRunning} }
	viewer := func(o *web.Options) { o.Auth = auth.Options{Token: token, TokenRole: users.Viewer} }
	for name, test := range map[string]struct {
		change     func(*web.Options)
		path, body string
		status     int
		code       httpserver.Code
		sentence   string
	}{
		"one is under way":    {busy, "", "{" + fine + "}", 409, httpserver.TrialRunning, "wait for it, or cancel it"},
		"no limit":            {nil, "", `{"limits": []}`, 400, httpserver.BadRequest, "want 1 to 100"},
		"a limit of 300":      {nil, "", `{"limits": [{"scope": "fleet", "high": 300}]}`, 400, httpserver.LimitOutOfRange, "100 to 230"},
		"no such scope":       {nil, "", `{"limits": [{"scope": "ward", "high": 170}]}`, 400, httpserver.BadRequest, "want fleet, cohort or person"},
		"from after to":       {nil, "", `{"from": "2026-02-21T00:00:00Z", "to": "2026-02-20T00:00:00Z", ` + fine + `}`, 400, httpserver.BadRequest, "want a time before to"},
		"more than a week":    {nil, "", `{"from": "2026-02-01T00:00:00Z", "to": "2026-02-20T00:00:00Z", ` + fine + `}`, 400, httpserver.BadRequest, "want 168h0m0s at most"},
		"year 1":              {nil, "", `{"from": "0001-01-01T00:00:00Z", "to": "0001-01-01T10:00:00Z", ` + fine + `}`, 400, httpserver.BadRequest, "years 2000 to 9999"},
		"cancel another":      {nil, "/9/cancel", ``, 404, httpserver.TrialNotFound, "long over"},
		"cancel none":         {nil, "/x/cancel", ``, 400, httpserver.BadRequest, "not a dry run's number"},
		"cancel as a viewer":  {viewer, "/3/cancel", ``, 403, httpserver.RoleRequired, "operator"},
		"a field that is not": {nil, "", `{"span": "24h", ` + fine + `}`, 400, httpserver.BadRequest, "openapi.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, test.change)
			r := newPost(trialPath+test.path, test.body)
			r.Header.Set("Authorization", "Bearer "+token)
			w := do(server, r)
			var problem httpserver.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
				t.Fatal(err)
			}
			if w.Code != test.status || problem.Code != test.code || !strings.Contains(problem.Detail, test.sentence) {
				t.Errorf("%d %s %q, want %d %s and %q", w.Code, problem.Code, problem.Detail, test.status, test.code, test.sentence)
			}
		})
	}
}
