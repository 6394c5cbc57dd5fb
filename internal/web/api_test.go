package web_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/readmodel"
	"heartbeat/internal/status"
	"heartbeat/internal/web"
)

func TestWrongParametersAreNamed(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	for target, word := range map[string]string{
		"/api/v1/fleet?limit=0":                                          "limit",
		"/api/v1/fleet?limit=10001":                                      "10000",
		"/api/v1/fleet?state=asleep":                                     "state",
		"/api/v1/fleet?after=CUST_1":                                     "after",
		"/api/v1/fleet?limt=5":                                           "limt",
		"/api/v1/trends?range=1y":                                        "range",
		"/api/v1/alerts?before=%00":                                      "before",
		"/api/v1/alerts?before=AAAA":                                     "before",
		"/api/v1/alerts?before=LTF5MnAwaWozMmU4ZTguMQ":                   "before", // the earliest time that the cursor can hold
		"/api/v1/alerts?before=MXkycDBpajMyZThlNy4x":                     "before", // the latest
		"/api/v1/alerts?type=NORMAL":                                     "type",
		"/api/v1/customers/CUST_123":                                     "CUST_123",
		"/api/v1/customers/CUST_00042/readings?from=yesterday":           "from",
		"/api/v1/customers/CUST_00042/readings?limit=20001":              "20000",
		"/api/v1/customers/CUST_00042/minutes?from=2020-01-01T00:00:00Z": "apart",
		"/api/v1/customers/CUST_00042/minutes?to=2020-01-01T00:00:00Z&from=2021-01-01T00:00:00Z": "before",
		"/api/v1/dead-letters?reason=bored": "reason",
		"/api/v1/dead-letters?before=x":     "before",
		"/api/v1/dead-letters/0":            "number",
		"/api/v1/totals?x=1":                "x",
	} {
		w := get(server, target)
		body := w.Body.String()
		w.Body = bytes.NewBufferString(body)
		checkProblem(t, w, http.StatusBadRequest, "bad_request")
		if !strings.Contains(body, word) {
			t.Errorf("%s: the problem does not mention %q: %s", target, word, body)
		}
	}
}

func TestWhatIsNotThereIsAProblem(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	for _, test := range []struct {
		method, target string
		status         int
		code           string
	}{
		{"GET", "/api/v1/nothing", 404, "not_found"},
		{"GET", "/nothing.html", 404, "not_found"},
		{"GET", "/api/v1/customers/CUST_00999", 404, "not_found"},
		{"GET", "/api/v1/dead-letters/8", 404, "not_found"},
		{"DELETE", "/api/v1/fleet", 405, "method_not_allowed"},
		{"POST", "/", 405, "method_not_allowed"},
	} {
		w := do(server, httptest.NewRequest(test.method, test.target, nil))
		checkProblem(t, w, test.status, test.code)
		if test.status == 405 && w.Header().Get("Allow") == "" {
			t.Errorf("%s %s: no Allow header", test.method, test.target)
		}
	}
}

func TestExpectedCustomerWithoutReadingIsFound(t *testing.T) {
	t.Parallel()
	if w := get(newServer(t, nil), "/api/v1/customers/CUST_00099"); w.Code != http.StatusOK {
		t.Errorf("customer 99 of a pool of 100 got %d: %s", w.Code, w.Body)
	}
}

func TestDatabaseFaultIsUnavailableWithoutItsWords(t *testing.T) {
	t.Parallel()
	for fault, want := range map[error]struct {
		status int
		code   string
	}{
		errors.New("password authentication failed for secret"): {503, "database_unavailable"},
		context.DeadlineExceeded:                                {504, "database_slow"},
	} {
		server := newServer(t, func(o *web.Options) { o.Store = stored{fault: fault} })
		for _, target := range []string{"/api/v1/alerts", "/api/v1/trends", "/api/v1/tables", "/api/v1/dead-letters", "/api/v1/customers/CUST_00042"} {
			w := get(server, target)
			if strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%s tells the client the database's words: %s", target, w.Body)
			}
			if w.Header().Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", target)
			}
			checkProblem(t, w, want.status, want.code)
		}
	}
}

func TestReadinessFollowsTheDatabase(t *testing.T) {
	t.Parallel()
	if w := get(polled(t, newServer(t, nil)), "/readyz"); w.Code != http.StatusOK {
		t.Errorf("with a database that answers: %d %s", w.Code, w.Body)
	}
	down := polled(t, newServer(t, func(o *web.Options) { o.Store = stored{fault: errors.New("refused")} }))
	checkProblem(t, get(down, "/readyz"), http.StatusServiceUnavailable, "database_unavailable")
}

func TestFleetPagesCoverEverybodyOnce(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	type page struct {
		Counts    map[string]int
		Customers []struct {
			ID    string `json:"customer_id"`
			State string `json:"state"`
		}
		Next *string
	}
	var got []string
	target := "/api/v1/fleet?limit=1"
	for range 5 {
		body := decode[page](t, get(server, target).Body)
		for _, customer := range body.Customers {
			got = append(got, customer.ID+" "+customer.State)
		}
		if body.Counts["never_seen"] != 98 {
			t.Errorf("%d were never seen, want 98 of the pool of 100", body.Counts["never_seen"])
		}
		if body.Next == nil {
			break
		}
		target = "/api/v1/fleet?limit=1&after=" + *body.Next
	}
	want := []string{"CUST_00007 tachycardia", "CUST_00042 resting", "CUST_999999999 low"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	if body := decode[page](t, get(server, "/api/v1/fleet?state=low").Body); len(body.Customers) != 1 {
		t.Errorf("state=low returns %v, want one customer", body.Customers)
	}
}

func TestAlertPagesJoinWithoutGapOrOverlap(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	type page struct {
		Alerts []struct {
			ID int64 `json:"anomaly_id"`
		}
		Next *string
	}
	var got []int64
	for target := "/api/v1/alerts?limit=2"; target != ""; {
		body := decode[page](t, get(server, target).Body)
		for _, alert := range body.Alerts {
			got = append(got, alert.ID)
		}
		target = ""
		if body.Next != nil {
			target = "/api/v1/alerts?limit=2&before=" + *body.Next
		}
	}
	if want := []int64{5, 4, 3, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("pages hold %v, want %v", got, want)
	}
}

func TestTraceSaysWhenItIsTruncated(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	for limit, want := range map[string]bool{"1": true, "2": false} {
		body := decode[struct {
			Truncated bool
			Readings  []any
		}](t, get(server, "/api/v1/customers/CUST_00042/readings?limit="+limit).Body)
		if body.Truncated != want {
			t.Errorf("limit %s of two readings: truncated is %v with %d readings", limit, body.Truncated, len(body.Readings))
		}
	}
}

func TestPipelineStatusTellsLagAndHealth(t *testing.T) {
	t.Parallel()
	server := polled(t, newServer(t, nil))
	type snapshot struct {
		Lag         int64
		Unaccounted int64
		Health      []status.Component
	}
	got := decode[snapshot](t, get(server, "/api/v1/pipeline").Body)
	if got.Lag != 5 || got.Unaccounted != 0 {
		t.Errorf("lag %d, unaccounted %d; want 5 and 0", got.Lag, got.Unaccounted)
	}
	var names []string
	for _, component := range got.Health {
		names = append(names, component.Name+" "+string(component.Level))
	}
	if want := []string{"database ok", "broker ok", "consumer ok", "accounting ok"}; !slices.Equal(names, want) {
		t.Errorf("health is %v, want %v", names, want)
	}
	down := polled(t, newServer(t, func(o *web.Options) { o.Store = stored{fault: errors.New("refused")} }))
	for _, component := range decode[snapshot](t, get(down, "/api/v1/pipeline").Body).Health {
		if component.Name == "database" && (component.Level != status.Down || component.Action == "") {
			t.Errorf("a database that refuses is shown as %+v", component)
		}
	}
}

// slowStore answers one question when it is told to.
type slowStore struct {
	stored
	entered, release chan struct{}
}

func (s slowStore) Tables(context.Context, int) ([]readmodel.Table, error) {
	close(s.entered)
	<-s.release
	return nil, nil
}

func TestTooManyRequestsAtATimeAreRefused(t *testing.T) {
	t.Parallel()
	store := slowStore{entered: make(chan struct{}), release: make(chan struct{})}
	server := newServer(t, func(o *web.Options) { o.MaxRequests, o.Store = 1, store })
	done := make(chan int, 1)
	go func() { done <- get(server, "/api/v1/tables").Code }()
	<-store.entered
	checkProblem(t, get(server, "/api/v1/fleet"), http.StatusTooManyRequests, "too_many_requests")
	close(store.release)
	if status := <-done; status != http.StatusOK {
		t.Errorf("the first request ended with %d", status)
	}
}
