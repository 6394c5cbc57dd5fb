package ingestapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/httpserver"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  prometheus.Histogram
	readings *prometheus.CounterVec
	bytes    prometheus.Counter
}

func newMetrics(registry *prometheus.Registry, budget *budget) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heartbeat_ingest_requests_total", Help: "Requests answered, by HTTP status."}, []string{"status"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "heartbeat_ingest_request_seconds", Help: "Time from a request's header to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}}),
		readings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heartbeat_ingest_readings_total", Help: "Readings answered: accepted, unknown (the client is asked to send again), or the reason of the rejection."}, []string{"outcome"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "heartbeat_ingest_body_bytes_total", Help: "Bytes of request bodies, unpacked."}),
	}
	registry.MustRegister(m.requests, m.seconds, m.readings, m.bytes, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "heartbeat_ingest_inflight_bytes", Help: "Memory of the bodies of requests under way."},
		func() float64 { return float64(budget.inUse()) }))
	return m
}

// count counts responses.
func (m *metrics) count(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, recorder := time.Now(), httpserver.NewStatusRecorder(w)
		inner.ServeHTTP(recorder, r)
		m.requests.WithLabelValues(strconv.Itoa(recorder.Status)).Inc()
		m.seconds.Observe(time.Since(began).Seconds())
	})
}
