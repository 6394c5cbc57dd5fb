package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options are what a Server is made of. Fleet and Store are required.
type Options struct {
	Fleet    Fleet
	Store    Store
	Log      Log      // nil: end offsets, and so lag, are unknown
	Feed     Feed     // nil: the Fleet is fed by this very process
	Replayer Replayer // nil: replay is not offered
	Logger   *slog.Logger
	Registry *prometheus.Registry // what /metrics shows; nil for one of its own

	Pool    int    // customers 1 to Pool are expected; those never seen are shown as such
	Token   string // what a client must show; empty for a server that only this machine can reach
	Version string

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
	case o.Token != "" && len(o.Token) < minToken:
		return errors.New("set up console: the token has fewer than 12 characters: choose a longer one")
	}
	return nil
}

// Server answers the console's requests.
type Server struct {
	options  Options
	log      *slog.Logger
	boot     string // tells the cursors of this process from those of another
	board    *board
	sessions *sessions
	encoder  encoder
	viewers  chan struct{} // one element for each open stream
	requests chan struct{} // one element for each request under way
	metrics  *metrics
	handler  http.Handler
	started  time.Time
}

// New returns a Server. Its board stands still until Run is called.
func New(options Options) (*Server, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		options:  options,
		log:      options.Logger.With("component", "web"),
		boot:     rand.Text()[:10],
		board:    newBoard(options),
		sessions: newSessions(options.Token),
		viewers:  make(chan struct{}, options.MaxViewers),
		requests: make(chan struct{}, options.MaxRequests),
		metrics:  newMetrics(options.Registry),
		started:  time.Now(),
	}
	s.handler = s.guard(s.mux())
	return s, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Run keeps the board up to date until the context ends.
func (s *Server) Run(ctx context.Context) error { return s.board.run(ctx) }

// Serve answers on a listener until the context ends, then gives requests under way a moment. Streams end at once.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      90 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnContext:       withConnection,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }() // ends with Shutdown or Close below
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close()
	}
	<-ended
	return nil
}
