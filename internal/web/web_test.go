package web_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/live"
	"heartbeat/internal/progress"
	"heartbeat/internal/readmodel"
	"heartbeat/internal/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stored is a Store with one of everything.
type stored struct {
	fault error // what every question is answered with, if not nil
}

func pointer[T any](value T) *T { return &value }

func noon() time.Time { return time.Date(2026, 2, 20, 12, 0, 0, 123456000, time.UTC) }

func (s stored) Totals(context.Context) (readmodel.Totals, error) {
	return readmodel.Totals{Valid: 900, Anomalies: 100, RecentAnomalies: 5}, s.fault
}

func (s stored) ActiveCustomers(context.Context) (int64, error) { return 42, s.fault }

func (s stored) Trend(context.Context, readmodel.Span) ([]readmodel.Bucket, error) {
	return []readmodel.Bucket{
		{At: noon(), Valid: 10, Avg: pointer(75.5), Min: pointer(int32(40)), Max: pointer(int32(180)), LatencyP50: pointer(4.0), LatencyP95: pointer(9.0)},
		{At: noon(), Invalid: 1},
	}, s.fault
}

func (s stored) Lag(_ context.Context, span readmodel.Span) ([]readmodel.Lag, error) {
	return []readmodel.Lag{{At: span.From, Offsets: 7}}, s.fault
}

func (s stored) Anomalies(_ context.Context, query readmodel.AnomalyQuery) ([]readmodel.Anomaly, error) {
	var page []readmodel.Anomaly
	for id := int64(5); id >= 1 && len(page) < query.Limit; id-- {
		anomaly := readmodel.Anomaly{
			ID: id, Customer: "CUST_00042", BPM: 200, Type: "TACHYCARDIA",
			EventTime: noon().Add(time.Duration(id) * time.Second), StoredTime: noon().Add(time.Minute),
		}
		if query.Before.IsZero() || anomaly.EventTime.Before(query.Before) {
			page = append(page, anomaly)
		}
	}
	return page, s.fault
}

func (s stored) Customer(_ context.Context, id string) (readmodel.Customer, error) {
	if id != "CUST_00042" {
		return readmodel.Customer{}, readmodel.ErrNotFound
	}
	return readmodel.Customer{ID: id, BPM: 75, Class: "NORMAL", EventTime: noon(), SeenTime: noon()}, s.fault
}

func (s stored) Trace(_ context.Context, trace readmodel.Trace) ([]readmodel.Sample, error) {
	samples := []readmodel.Sample{{EventTime: noon().Add(time.Second), BPM: 200, Class: "TACHYCARDIA"}, {EventTime: noon(), BPM: 75, Class: "NORMAL"}}
	return samples[:min(trace.Limit, 2)], s.fault
}

func (s stored) Minutes(context.Context, string, readmodel.Span) ([]readmodel.Minute, error) {
	return []readmodel.Minute{{At: noon(), Avg: pointer(75.0), Min: pointer(int32(70)), Max: pointer(int32(80)), Count: 2}, {At: noon(), Anomalies: 1}}, s.fault
}

func (s stored) Progress(context.Context) ([]progress.Stored, error) {
	return []progress.Stored{{Log: "heartbeat-events", Topic: "heartbeat-events", Next: 100, Records: 90, Anomalies: 10, Owner: "me", UpdatedAt: new(noon())}}, s.fault
}

func (s stored) Incidents(context.Context, int) ([]readmodel.Incident, error) {
	return []readmodel.Incident{{ID: 1, Kind: "retention_passed", Log: "heartbeat-events", To: 7, RecordedAt: noon()}}, s.fault
}

func (s stored) Tables(context.Context, int) ([]readmodel.Table, error) {
	return []readmodel.Table{{Parent: "heartbeat_records", Name: "heartbeat_records_history", To: pointer(noon()), Bytes: 8192}}, s.fault
}

func (s stored) letter() readmodel.DeadLetter {
	return readmodel.DeadLetter{ID: 7, Topic: "heartbeat-events", Offset: 3, KafkaTime: pointer(noon()), Reason: "not_json", Detail: "…", Length: 3, RecordedAt: noon()}
}

func (s stored) DeadLetters(context.Context, readmodel.DeadLetterQuery) ([]readmodel.DeadLetter, error) {
	return []readmodel.DeadLetter{s.letter()}, s.fault
}

func (s stored) Reasons(context.Context) ([]readmodel.ReasonCount, error) {
	return []readmodel.ReasonCount{{Reason: "not_json", Total: 1, Pending: 1}}, s.fault
}

func (s stored) DeadLetter(_ context.Context, id int64) (readmodel.RawDeadLetter, error) {
	if id != 7 {
		return readmodel.RawDeadLetter{}, readmodel.ErrNotFound
	}
	return readmodel.RawDeadLetter{DeadLetter: s.letter(), Value: []byte("{{{"), SHA256: "00"}, s.fault
}

func (s stored) Replay(_ context.Context, id int64) (readmodel.Replay, error) {
	return readmodel.Replay{ID: id, Outcome: "rejected", Detail: "still not JSON"}, s.fault
}

// ends is a Broker of one partition with a consumer group whose only member is somebody else's client.
type ends int64

func (e ends) Topic(context.Context) (*progress.Topic, error) {
	if e < 0 {
		return nil, errors.New("refused")
	}
	return &progress.Topic{Name: "heartbeat-events", Partitions: map[int32]progress.Bounds{0: {End: int64(e)}}}, nil
}

func (e ends) Group(context.Context) *progress.Group {
	return &progress.Group{Name: "wards", State: "Stable", Protocol: "consumer", Members: []progress.Member{
		{Client: "kcat", Host: "/10.0.0.9", Partitions: []int32{0}},
	}}
}

// hub returns a fleet of three: one well, one not, one whose id has nine digits.
func hub() *live.Hub {
	hub := live.New(live.Options{})
	hub.Observe([]heartbeat.Reading{
		{Customer: 42, BPM: 75, Time: time.Now()},
		{Customer: 7, BPM: 200, Class: heartbeat.Tachycardia, Time: time.Now()},
		{Customer: heartbeat.MaxCustomerID, BPM: 50, Time: time.Now()},
	})
	return hub
}

func newServer(t *testing.T, change func(*web.Options)) *web.Server {
	t.Helper()
	options := web.Options{
		Fleet: hub(), Store: stored{}, Readings: stored{}, Broker: ends(105), Replayer: stored{}, AlarmStore: alarms{}, LimitStore: alarms{}, Trials: trials{}, Deliveries: deliveries{}, Pool: 100, Version: "test",
		Registry: prometheus.NewRegistry(),
	}
	if change != nil {
		change(&options)
	}
	server, err := web.New(options)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return server
}

// polled lets the server poll its status once.
func polled(t *testing.T, server *web.Server) *web.Server {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	deadline := time.After(5 * time.Second)
	for ticker := time.NewTicker(2 * time.Millisecond); !strings.Contains(get(server, "/api/v1/pipeline").Body.String(), `"name"`); {
		select {
		case <-deadline:
			t.Fatal("the status snapshot was not filled within 5 s")
		case <-ticker.C:
		}
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run ended with %v", err)
	}
	return server
}

func get(server http.Handler, target string) *httptest.ResponseRecorder {
	return do(server, httptest.NewRequest(http.MethodGet, target, nil))
}

func do(server http.Handler, r *http.Request) *httptest.ResponseRecorder {
	if r.Host == "example.com" {
		r.Host = "localhost:8080"
	}
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	return w
}

func decode[T any](t *testing.T, body io.Reader) T {
	t.Helper()
	var value T
	if err := json.UnmarshalRead(body, &value, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("decode body: %v", err)
	}
	return value
}

// checkProblem fails unless the answer is the problem expected.
func checkProblem(t *testing.T, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("content type is %q with status %d, want a problem", got, w.Code)
	}
	body := decode[map[string]any](t, w.Body)
	if w.Code != status || body["code"] != code || body["status"] != float64(status) || body["detail"] == "" {
		t.Errorf("got status %d and %v, want %d %s", w.Code, body, status, code)
	}
}
