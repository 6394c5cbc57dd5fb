package stream

import "github.com/prometheus/client_golang/prometheus"

// metrics count viewers and what they are sent.
type metrics struct {
	viewers prometheus.Gauge
	dropped prometheus.Counter
	sent    prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		viewers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "heartbeat_viewers", Help: "Open streams of the live console.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "heartbeat_viewers_dropped_total", Help: "Streams ended because the viewer did not read.",
		}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "heartbeat_stream_bytes_total", Help: "Bytes handed to viewers' connections.",
		}),
	}
	registry.MustRegister(m.viewers, m.dropped, m.sent)
	return m
}
