package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/alarmapi"
	"heartbeat/internal/auth"
	"heartbeat/internal/export"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/readmodel"
	"heartbeat/internal/status"
	"heartbeat/internal/stream"
)

// Options are what a Server is made of. Fleet, Store, Readings, AlarmStore, LimitStore, Trials and Deliveries are required.
type Options struct {
	Fleet      Fleet
	Store      Store
	Readings   export.Pages  // for exports
	Broker     status.Broker // nil: end offsets, and so lag, are unknown
	Feed       status.Feed   // nil: the Fleet is fed by this very process
	Replayer   Replayer      // nil: replay is not offered
	Alarms     stream.Alarms // nil: the stream carries no alarms
	AlarmStore alarmapi.AlarmStore
	LimitStore alarmapi.LimitStore
	Trials     alarmapi.Trials
	Deliveries Deliveries
	Logger     *slog.Logger
	Registry   *prometheus.Registry // what /metrics shows; nil for one of its own

	Pool    int          // customers 1 to Pool are expected; those never seen are shown as such
	Auth    auth.Options // who may do what; without a token and users only this machine must reach the server
	Version string

	BasePath string   // below which a reverse proxy offers the console, such as /heartbeat; empty for the root
	Hosts    []string // names under which it does

	MaxViewers    int           // streams at a time, 500
	MaxRequests   int           // API requests at a time, 64
	WriteDeadline time.Duration // a viewer that takes longer to accept a piece of a frame is dropped, 5 s
	Lifetime      time.Duration // after which a stream ends and the viewer comes back, 1 h
}

func (o Options) withDefaults() Options {
	o.MaxViewers = cmp.Or(o.MaxViewers, 500)
	o.MaxRequests = cmp.Or(o.MaxRequests, 64)
	o.WriteDeadline = cmp.Or(o.WriteDeadline, 5*time.Second)
	o.Lifetime = cmp.Or(o.Lifetime, time.Hour)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	return o
}

func (o Options) validate() error {
	switch {
	case o.Fleet == nil:
		return errors.New("set up console: Fleet is missing")
	case o.Store == nil:
		return errors.New("set up console: Store is missing")
	case o.Readings == nil:
		return errors.New("set up console: Readings are missing")
	case o.AlarmStore == nil || o.LimitStore == nil || o.Trials == nil:
		return errors.New("set up console: AlarmStore, LimitStore or Trials are missing")
	case o.Deliveries == nil:
		return errors.New("set up console: Deliveries are missing")
	case o.Auth.Token != "" && len(o.Auth.Token) < minToken:
		return errors.New("set up console: the token has fewer than 12 characters: choose a longer one")
	}
	return httpserver.CheckBasePath(o.BasePath)
}

// Server answers the console's requests.
type Server struct {
	options   Options
	log       *slog.Logger
	status    *status.Poller
	stream    *stream.Stream
	auth      *auth.Authenticator
	limiter   *httpserver.Limiter
	exports   chan struct{} // one element for each export under way
	responder httpserver.Responder
	handler   http.Handler
	alarms    *alarmapi.API
	started   time.Time

	description []byte // openapi.json with the base path as its server
}

// New returns a Server. Its status snapshot stays empty until Run is called.
func New(options Options) (*Server, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, err
	}
	log := options.Logger.With("component", "web")
	poller := status.NewPoller(status.Options{Store: options.Store, Broker: options.Broker, Feed: options.Feed})
	options.Auth.CookiePath, options.Auth.Logger = options.BasePath+"/", log
	s := &Server{
		options:     options,
		log:         log,
		status:      poller,
		auth:        auth.New(options.Auth),
		limiter:     httpserver.NewLimiter(options.MaxRequests, requestTimeout),
		exports:     make(chan struct{}, maxExports),
		responder:   httpserver.Responder{Logger: log, Translate: problemOf},
		started:     time.Now(),
		description: bytes.Replace(description, []byte(`"url": "/"`), fmt.Appendf(nil, `"url": %q`, cmp.Or(options.BasePath, "/")), 1),
		stream: stream.New(stream.Options{
			Fleet: options.Fleet, Status: poller.Latest, Alarms: options.Alarms, Logger: log, Registry: options.Registry,
			Hello:      stream.Hello{Pool: options.Pool, Version: options.Version, Replay: options.Replayer != nil},
			MaxViewers: options.MaxViewers, WriteDeadline: options.WriteDeadline, Lifetime: options.Lifetime,
		}),
	}
	s.alarms = &alarmapi.API{Alarms: options.AlarmStore, Limits: options.LimitStore, Trials: options.Trials, Actor: actorName, Logger: log}
	if err := checkRoles(s.routes()); err != nil {
		return nil, err
	}
	// Where everybody must sign in, a page of another site gains nothing from a host name of its own.
	everybody := options.Auth.Token != "" || options.Auth.ProxyHeader != "" || options.Auth.Local == auth.LocalNever
	guard := httpserver.Guard{Responder: s.responder, Hosts: options.Hosts, AnyHost: everybody}
	s.handler = httpserver.LogRequests(log, withPolicy(guard.Wrap(httpserver.UnderBasePath(options.BasePath, s.mux()))))
	return s, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Run keeps the status snapshot up to date until the context ends.
func (s *Server) Run(ctx context.Context) error { return s.status.Run(ctx) }

// Serve answers on a listener until the context ends, then gives requests under way a moment. Streams end at once.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	return httpserver.Serve(ctx, listener, s, s.log)
}

// problemOf says what an error of the store means to a client.
func problemOf(err error) *httpserver.Problem {
	if errors.Is(err, readmodel.ErrNotFound) {
		return httpserver.NewProblem(httpserver.NotFound, "there is nothing stored under that id")
	}
	return alarmapi.Problem(err)
}
