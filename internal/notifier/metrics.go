package notifier

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/notify/destination"
	"heartbeat/internal/readmodel"
)

type metrics struct {
	queued, pending, dead, oldest *prometheus.GaugeVec
	unrouted                      prometheus.Gauge
	attempts, reloads             *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) *metrics {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"destination"})
	}
	m := &metrics{
		queued:   gauge("heartbeat_notify_queued_events", "Events that wait to be grouped into a message, or states that an Alertmanager does not have yet, by destination."),
		pending:  gauge("heartbeat_notify_pending_messages", "Messages that are not delivered yet, by destination."),
		dead:     gauge("heartbeat_notify_dead_messages", "Messages of the last 24 hours that were given up, by destination."),
		oldest:   gauge("heartbeat_notify_oldest_pending_seconds", "Age of the oldest event whose message is not delivered, by destination; 0 where there is none."),
		unrouted: prometheus.NewGauge(prometheus.GaugeOpts{Name: "heartbeat_notify_unrouted_events", Help: "Events of alarms that no notifier has routed yet."}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heartbeat_notify_attempts_total", Help: "Attempts to deliver a message, by destination and code of the answer: none where no answer came, ok where there are no codes.",
		}, []string{"destination", "code"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heartbeat_notify_reloads_total", Help: "Times that the notification file was read again, by result: taken or refused.",
		}, []string{"result"}),
	}
	registry.MustRegister(m.queued, m.pending, m.dead, m.oldest, m.unrouted, m.attempts, m.reloads)
	return m
}

func (m *metrics) show(depths []readmodel.Destination, unrouted int, now time.Time) {
	m.unrouted.Set(float64(unrouted))
	for _, depth := range depths {
		m.queued.WithLabelValues(depth.Name).Set(float64(depth.Queued))
		m.pending.WithLabelValues(depth.Name).Set(float64(depth.Pending))
		m.dead.WithLabelValues(depth.Name).Set(float64(depth.Dead))
		age := time.Duration(0)
		if depth.Oldest != nil {
			age = now.Sub(*depth.Oldest)
		}
		m.oldest.WithLabelValues(depth.Name).Set(age.Seconds())
	}
}

func (m *metrics) attempt(name string, result *destination.Result) {
	code := "none"
	switch {
	case result.Code != 0:
		code = strconv.Itoa(result.Code)
	case result.Err == nil:
		code = "ok"
	}
	m.attempts.WithLabelValues(name, code).Inc()
}
