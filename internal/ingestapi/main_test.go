package ingestapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/device"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka/producer"
)

// topic keeps what is published, or fails as it is told.
type topic struct {
	mu       sync.Mutex
	messages []producer.Message
	fail     error
	entered  chan struct{} // gets a value for each call that is held
	hold     chan struct{} // nil: acknowledge at once; otherwise when it is closed
}

func (p *topic) Publish(ctx context.Context, messages ...producer.Message) error {
	if p.hold != nil {
		p.entered <- struct{}{}
		select {
		case <-p.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	for _, message := range messages {
		message.Value = bytes.Clone(message.Value)
		p.messages = append(p.messages, message)
	}
	return nil
}

func (p *topic) values() (values []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, message := range p.messages {
		values = append(values, string(message.Value))
	}
	return values
}

// registry knows devices by their tokens.
type registry struct {
	devices map[string]device.Device
	cohorts map[heartbeat.CustomerID]string
	unready error
}

func (r *registry) Authenticate(token string) (device.Device, bool) {
	one, ok := r.devices[token]
	return one, ok && r.unready == nil
}

func (r *registry) Allowed(one device.Device, customer heartbeat.CustomerID) bool {
	return one.May(customer, func(c heartbeat.CustomerID) string { return r.cohorts[c] })
}

func (r *registry) Ready() error { return r.unready }

var devices = &registry{
	devices: map[string]device.Device{
		"person":  {Name: "watch", Scope: device.ForCustomer, Customer: 42},
		"ward":    {Name: "ward-3", Scope: device.ForCohort, Cohort: "ward 3"},
		"gateway": {Name: "gateway", Scope: device.ForAll},
		"slow":    {Name: "slow", Scope: device.ForAll, Rate: 10},
	},
	cohorts: map[heartbeat.CustomerID]string{7: "ward 3"},
}

func newServer(t testing.TB, topic *topic, change func(*Options)) *Server {
	t.Helper()
	options := Options{Publisher: topic, Devices: devices, Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&options)
	}
	return New(options)
}

const (
	jsonType   = "application/json"
	linesType  = "application/x-ndjson"
	fhirType   = "application/fhir+json"
	oneReading = `{"customer_id":"CUST_00042","heart_rate":72.5,"timestamp":"2026-11-23T14:03:05.123Z","device_id":"w-7","seq":918,"contact":true,"battery":0.71,"steps":0}`
)

func reading(customer int, rate string) string {
	return fmt.Sprintf(`{"customer_id":"CUST_%05d","heart_rate":%s,"timestamp":"2026-11-23T14:03:05Z"}`, customer, rate)
}

// post sends a body, with headers given as name and value in turn.
func post(server *Server, contentType, body string, headers ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, "http://localhost/api/v1/readings", strings.NewReader(body))
	request.Header.Set("Content-Type", contentType)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response := httptest.NewRecorder()
	server.Handler().ServeHTTP(response, request)
	return response
}

// answer is what all answers can have.
type answer struct {
	Accepted int        `json:"accepted"`
	Rejected []rejected `json:"rejected"`
	Code     string     `json:"code"`
	Detail   string     `json:"detail"`
}

func answerOf(t *testing.T, response *httptest.ResponseRecorder) (a answer) {
	t.Helper()
	if err := json.Unmarshal(response.Body.Bytes(), &a); err != nil {
		t.Fatalf("answer %q: %v", response.Body, err)
	}
	return a
}

func packed(t testing.TB, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func at(s *Server, now time.Time) *Server {
	s.now = func() time.Time { return now }
	return s
}
