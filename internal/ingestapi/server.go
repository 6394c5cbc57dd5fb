package ingestapi

import (
	"context"
	_ "embed"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/device"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/kafka/producer"
)

// Publisher writes records to the topic, as producer.Publisher does.
type Publisher interface {
	Publish(ctx context.Context, messages ...producer.Message) error
}

// Registry knows the devices, as device.Registry does.
type Registry interface {
	Authenticate(token string) (device.Device, bool)
	Allowed(one device.Device, customer heartbeat.CustomerID) bool
	Ready() error
}

// Options set up a Server.
type Options struct {
	Publisher    Publisher
	Devices      Registry
	RequireToken bool          // otherwise a request without a token is the local operator's: for listeners that only this machine reaches
	Hosts        []string      // names under which a reverse proxy offers the API to clients without a token
	Retention    time.Duration // refuse readings older than this, as the consumer does; 0: any age
	Registry     *prometheus.Registry
	Logger       *slog.Logger

	memory      int64         // bytes of all requests under way; 0: maxMemory
	bodyTimeout time.Duration // 0: bodyTimeout
}

// Server serves the API.
type Server struct {
	options  Options
	failures *httpserver.Failures
	budget   *budget
	rates    *rates
	keys     *keys
	metrics  *metrics
	now      func() time.Time
}

// New returns a Server.
func New(options Options) *Server {
	if options.memory == 0 {
		options.memory = maxMemory
	}
	if options.bodyTimeout == 0 {
		options.bodyTimeout = bodyTimeout
	}
	s := &Server{
		options: options, failures: httpserver.NewFailures(options.Logger), budget: newBudget(options.memory),
		rates: newRates(), keys: newKeys(), now: time.Now,
	}
	s.metrics = newMetrics(options.Registry, s.budget)
	return s
}

//go:embed openapi.json
var description []byte

// Handler returns the API's handler.
func (s *Server) Handler() http.Handler {
	responder := httpserver.Responder{Logger: s.options.Logger, Translate: translate}
	mux := http.NewServeMux()
	mux.Handle("POST /api/v1/readings", responder.Wrap(s.readings))
	mux.Handle("GET /api/v1/openapi.json", responder.Wrap(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(description)
		return nil
	}))
	mux.Handle("/api/v1/readings", responder.Wrap(wrongMethod("POST")))
	mux.Handle("/api/v1/openapi.json", responder.Wrap(wrongMethod("GET")))
	mux.Handle("/", responder.Wrap(func(_ http.ResponseWriter, r *http.Request) error {
		return httpserver.NewProblem(httpserver.NotFound, "there is no %s here: send readings to /api/v1/readings", r.URL.Path)
	}))
	guard := httpserver.Guard{
		Responder: responder, Hosts: s.options.Hosts, AnyHost: s.options.RequireToken,
		Advice: "send a device's token and start heartbeat ingest with --require-token",
	}
	return s.metrics.count(httpserver.LogRequests(s.options.Logger, guard.Wrap(mux)))
}

func wrongMethod(allowed string) httpserver.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Allow", allowed)
		return httpserver.NewProblem(httpserver.MethodNotAllowed, "%s is not possible here: use %s", r.Method, allowed)
	}
}

// translate is for errors that are no problems: none reaches a client as the database's.
func translate(err error) *httpserver.Problem {
	return httpserver.NewProblem(httpserver.BrokerUnavailable, "the reading's outcome is not known: send the same request again").RetryAfter(retryAfter)
}

// local is the device of a request without a token on a listener that only this machine reaches.
var local = device.Device{Name: "(local)", Scope: device.ForAll}

// forwarded reports whether a proxy passes on the request of a client that may be anywhere.
func forwarded(header http.Header) bool {
	for _, name := range [...]string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if header.Get(name) != "" {
			return true
		}
	}
	return false
}

// authenticate returns who sends. A wrong token is never taken for none.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (device.Device, error) {
	header := r.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(header, " ")
	if header == "" && !s.options.RequireToken && !forwarded(r.Header) {
		return local, nil
	}
	if strings.EqualFold(scheme, "Bearer") {
		if one, ok := s.options.Devices.Authenticate(strings.TrimSpace(token)); ok {
			return one, nil
		}
	}
	if err := s.options.Devices.Ready(); err != nil {
		return device.Device{}, httpserver.NewProblem(httpserver.Unavailable, "the tokens of devices could not be read: send the same request again").RetryAfter(retryAfter)
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="heartbeat"`)
	if header == "" {
		return device.Device{}, httpserver.NewProblem(httpserver.Unauthorized, "this takes a device's token: send Authorization: Bearer TOKEN; heartbeat device add makes one")
	}
	if err := s.failures.Add(r, "device token"); err != nil {
		return device.Device{}, err
	}
	return device.Device{}, httpserver.NewProblem(httpserver.Unauthorized, "the token is of no device, or was revoked: heartbeat device list shows the devices")
}
