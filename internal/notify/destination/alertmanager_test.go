package destination_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"heartbeat/internal/alarm"
	"heartbeat/internal/notify"
	"heartbeat/internal/notify/destination"
)

type postedAlert struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
	GeneratorURL        string
}

// alertReceiver answers as an Alertmanager does: 400 when an alert is wrong, and the others are taken.
type alertReceiver struct {
	*httptest.Server
	wrong    map[string]bool // alarms
	taken    map[string]postedAlert
	requests []int // alerts of each
	answer   int
}

func newAlertReceiver(t *testing.T) *alertReceiver {
	t.Helper()
	r := &alertReceiver{wrong: map[string]bool{}, taken: map[string]postedAlert{}, answer: http.StatusOK}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		var alerts []postedAlert
		if err := json.NewDecoder(request.Body).Decode(&alerts); err != nil || request.URL.Path != "/prefix/api/v2/alerts" || request.Header.Get("Authorization") != "Bearer x" {
			t.Errorf("%s: %v", request.URL, err)
		}
		r.requests = append(r.requests, len(alerts))
		answer := r.answer
		for _, one := range alerts {
			if r.wrong[one.Labels["alarm_id"]] {
				answer = http.StatusBadRequest
				continue
			}
			r.taken[one.Labels["alarm_id"]] = one
		}
		w.WriteHeader(answer)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *alertReceiver) poster(t *testing.T) destination.Poster {
	t.Helper()
	t.Setenv("AUTHORIZATION", "Bearer x")
	return sendersWith(t, `
destinations: {am: {alertmanager: {url: "`+r.URL+`/prefix/", authorization: {variable: AUTHORIZATION}, allow: [127.0.0.1]}}}
routes: [{to: [am]}]`, notify.Words{ConsoleURL: "https://heartbeat.example.org"})["am"].(destination.Poster)
}

func alarms(count int) (all []notify.Alarm) {
	for i := range count {
		all = append(all, notify.Alarm{
			ID: uuid.New(), Version: 3, Subject: fmt.Sprintf("CUST_%05d", i), Condition: alarm.RateLow, Priority: alarm.High, Cohort: "ward 3", Open: true,
			Since: noon, Value: 20177, Limit: 18077,
		})
	}
	return all
}

// Labels identify an alert: they stay the same whatever happens to the alarm.
func TestAlertsKeepTheirLabels(t *testing.T) {
	r := newAlertReceiver(t)
	poster := r.poster(t)
	a := alarms(1)[0]
	now := noon.Add(time.Hour)
	post := func() postedAlert {
		t.Helper()
		if result, rejected := poster.Post(t.Context(), []notify.Alarm{a}, now); result.Err != nil || len(rejected) != 0 {
			t.Fatalf("%+v, rejected %v", result, rejected)
		}
		return r.taken[a.ID.String()]
	}
	first := post()
	want := map[string]string{"alertname": "rate_low", "alarm_id": a.ID.String(), "customer": "CUST_00000", "cohort": "ward 3"}
	if fmt.Sprint(first.Labels) != fmt.Sprint(want) || !first.StartsAt.Equal(noon) || !first.EndsAt.Equal(now.Add(4*time.Minute)) ||
		first.Annotations["priority"] != "high" || first.Annotations["value"] != "" || first.GeneratorURL != "https://heartbeat.example.org/#/customer/CUST_00000" {
		t.Errorf("posted %+v", first)
	}
	a.Acknowledged, a.Version, a.Priority, a.Value = true, 4, alarm.Medium, 300
	if acknowledged := post(); fmt.Sprint(acknowledged.Labels) != fmt.Sprint(want) || acknowledged.Annotations["state"] != "acknowledged" {
		t.Errorf("posted %+v", acknowledged)
	}
	a.ClearedAt = noon.Add(time.Minute)
	if latched := post(); !latched.EndsAt.Equal(now.Add(4 * time.Minute)) {
		t.Errorf("an alarm that ended unseen ends at %s", latched.EndsAt)
	}
	a.Open = false
	if closed := post(); !closed.EndsAt.Equal(noon.Add(time.Minute)) || closed.Annotations["state"] != "closed" {
		t.Errorf("posted %+v, want its true end", closed)
	}
	a.ClearedAt = noon
	if closed := post(); !closed.EndsAt.After(closed.StartsAt) {
		t.Errorf("posted %+v, which an Alertmanager refuses", closed)
	}
}

func TestAlertsArePostedInParts(t *testing.T) {
	r := newAlertReceiver(t)
	all := alarms(1201)
	if result, _ := r.poster(t).Post(t.Context(), all, noon); result.Err != nil || len(r.taken) != len(all) || !slices.Equal(r.requests, []int{500, 500, 201}) {
		t.Errorf("%+v, %d taken in requests of %v", result, len(r.taken), r.requests)
	}
}

func TestWrongAlertsAreFoundAndTheOthersTaken(t *testing.T) {
	r := newAlertReceiver(t)
	all := alarms(700)
	want := []alarm.ID{all[7].ID, all[499].ID, all[500].ID}
	for _, id := range want {
		r.wrong[id.String()] = true
	}
	result, rejected := r.poster(t).Post(t.Context(), all, noon)
	if result.Err != nil || len(r.taken) != 697 || !slices.Equal(rejected, want) || len(r.requests) > 60 {
		t.Errorf("%+v: %d taken, rejected %v, %d requests", result, len(r.taken), rejected, len(r.requests))
	}
	r.answer = http.StatusServiceUnavailable
	if result, rejected := r.poster(t).Post(t.Context(), all[:3], noon); result.Code != 503 || result.Err == nil || len(rejected) != 0 {
		t.Errorf("503: %+v, rejected %v", result, rejected)
	}
}

func TestAlertmanagerGetsATest(t *testing.T) {
	r := newAlertReceiver(t)
	poster := r.poster(t)
	if result := send(t, poster, &notify.Message{Type: notify.Test, At: noon}); result.Err != nil || !slices.Equal(r.requests, []int{1}) {
		t.Errorf("%+v in requests of %v", result, r.requests)
	}
	if result := poster.Send(t.Context(), destination.Delivery{Body: []byte(`{"type":"alarm.raised"}`)}, noon); !result.Rejected {
		t.Errorf("bytes of another kind: %+v, want them rejected", result)
	}
}
