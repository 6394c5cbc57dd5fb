package app

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

// probe is the small HTTP server of a role without a console: metrics, health and readiness.
type probe struct {
	listener net.Listener
	server   *http.Server
}

// The addresses of roles that are not told another. A taken one gives way to the next free port, for several roles run on
// one machine.
const (
	DefaultConsumerMetrics = "127.0.0.1:9464"
	DefaultProducerMetrics = "127.0.0.1:9465"
)

// newProbe listens at once, so that a port in use is an error before any work begins. ready returns why the role cannot
// work at the moment, or nil.
func newProbe(address string, registry *prometheus.Registry, ready func() error) (*probe, error) {
	listener, err := listenForProbe(address)
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
	return &probe{listener: listener, server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}, nil
}

func listenForProbe(address string) (net.Listener, error) {
	switch address {
	case DefaultConsumerMetrics:
		return port.Listen(9464, false)
	case DefaultProducerMetrics:
		return port.Listen(9465, false)
	default:
		return net.Listen("tcp", address)
	}
}

// address is where the probe listens.
func (p *probe) address() string { return p.listener.Addr().String() }

// run serves until the context ends.
func (p *probe) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { p.server.Close() })
	defer stop()
	if err := p.server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics and health: %w", err)
	}
	return nil
}
