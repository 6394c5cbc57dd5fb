// Package probeserver is the small HTTP server of a role without a console: metrics, health and readiness.
//
// It has no access control and refuses nothing, so by default it listens on loopback only. Readiness is asked from any goroutine.
//
// It is not on the path of a reading.
package probeserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"heartbeat/internal/port"
)

// Server serves /metrics, /healthz and /readyz.
type Server struct {
	listener net.Listener
	server   *http.Server
}

// The default addresses. A taken one gives way to the next free port, because several roles run on one machine.
const (
	defaultConsumer = "127.0.0.1:9464"
	defaultProducer = "127.0.0.1:9465"
	defaultNotifier = "127.0.0.1:9466"
	defaultIngest   = "127.0.0.1:9467"
)

// Listen listens at once, so that a port in use is an error before any work begins. ready returns why the role cannot
// work at the moment, or nil.
func Listen(address string, registry *prometheus.Registry, ready func() error) (*Server, error) {
	listener, err := listen(address)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics and health on %s: %w; choose another --metrics-address, or none", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return &Server{listener: listener, server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}, nil
}

func listen(address string) (net.Listener, error) {
	switch address {
	case defaultConsumer:
		return port.Listen(9464, false)
	case defaultProducer:
		return port.Listen(9465, false)
	case defaultNotifier:
		return port.Listen(9466, false)
	case defaultIngest:
		return port.Listen(9467, false)
	default:
		return net.Listen("tcp", address)
	}
}

// Address is where the server listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Run serves until the context ends.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.server.Close() })
	defer stop()
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics and health: %w", err)
	}
	return nil
}
