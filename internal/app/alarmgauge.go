package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/alarm"
	"heartbeat/internal/backoff"
)

const (
	alarmTick         = time.Second
	alarmTimeout      = 10 * time.Second
	alarmWarningEvery = time.Minute
)

// alarmCounter is what an alarmGauge needs of the store.
type alarmCounter interface {
	Counts(ctx context.Context, now time.Time) ([]alarm.Count, error)
}

// alarmGauge measures which alarms are open. It counts an acknowledgement as ended when its time is over, whether or not a notifier
// has written that down.
type alarmGauge struct {
	store  alarmCounter
	logger *slog.Logger

	open, unacknowledged *prometheus.GaugeVec
	oldest               prometheus.Gauge
	warned               time.Time
}

func newAlarmGauge(store alarmCounter, registry prometheus.Registerer, logger *slog.Logger) *alarmGauge {
	labels := []string{"condition", "priority"}
	g := &alarmGauge{
		store: store, logger: logger,
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "heartbeat_alarms_open", Help: "Open alarms by condition and priority.",
		}, labels),
		unacknowledged: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "heartbeat_alarms_unacknowledged", Help: "Open alarms whose acknowledgement is missing or has expired, by condition and priority.",
		}, labels),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "heartbeat_alarms_oldest_unacknowledged_seconds", Help: "Time since the raise of the oldest unacknowledged open alarm; 0 where there is none.",
		}),
	}
	registry.MustRegister(g.open, g.unacknowledged, g.oldest)
	return g
}

// run ticks until the context ends. An error of the database is logged and the next tick tries again.
func (g *alarmGauge) run(ctx context.Context) error {
	backoff.Every(ctx, alarmTick, func() { g.tick(ctx, time.Now()) })
	return ctx.Err()
}

func (g *alarmGauge) tick(ctx context.Context, now time.Time) {
	bounded, cancel := context.WithTimeout(ctx, alarmTimeout)
	defer cancel()
	counts, err := g.store.Counts(bounded, now)
	if err != nil {
		if ctx.Err() == nil && now.Sub(g.warned) >= alarmWarningEvery {
			g.warned = now
			g.logger.Warn("open alarms not counted, trying again", "cause", err)
		}
		return
	}
	g.show(counts, now)
}

func (g *alarmGauge) show(counts []alarm.Count, now time.Time) {
	g.open.Reset()
	g.unacknowledged.Reset()
	age := time.Duration(0)
	for _, count := range counts {
		g.open.WithLabelValues(string(count.Condition), count.Priority.String()).Set(float64(count.Open))
		g.unacknowledged.WithLabelValues(string(count.Condition), count.Priority.String()).Set(float64(count.Unacknowledged))
		if !count.OldestUnacknowledged.IsZero() {
			age = max(age, now.Sub(count.OldestUnacknowledged))
		}
	}
	g.oldest.Set(age.Seconds())
}
