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

// alarmStore is what an alarmClock needs of the store.
type alarmStore interface {
	Expire(ctx context.Context, now time.Time) (int, error)
	Counts(ctx context.Context, now time.Time) ([]alarm.Count, error)
}

// alarmClock ends acknowledgements and snoozes whose time is over, and measures what is open. Any number of processes may
// run one.
type alarmClock struct {
	store  alarmStore
	logger *slog.Logger

	open, unacknowledged *prometheus.GaugeVec
	oldest               prometheus.Gauge
	warned               time.Time
}

func newAlarmClock(store alarmStore, registry prometheus.Registerer, logger *slog.Logger) *alarmClock {
	labels := []string{"condition", "priority"}
	c := &alarmClock{
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
	registry.MustRegister(c.open, c.unacknowledged, c.oldest)
	return c
}

// run ticks until the context ends. An error of the database is logged and the next tick tries again.
func (c *alarmClock) run(ctx context.Context) error {
	backoff.Every(ctx, alarmTick, func() { c.tick(ctx, time.Now()) })
	return ctx.Err()
}

func (c *alarmClock) tick(ctx context.Context, now time.Time) {
	bounded, cancel := context.WithTimeout(ctx, alarmTimeout)
	defer cancel()
	ended, err := c.store.Expire(bounded, now)
	if ended > 0 {
		c.logger.Info("acknowledgements and snoozes ended", "count", ended)
	}
	if err != nil {
		c.warn(ctx, now, "acknowledgements and snoozes not ended, trying again", err)
	}
	counts, err := c.store.Counts(bounded, now)
	if err != nil {
		c.warn(ctx, now, "open alarms not counted, trying again", err)
		return
	}
	c.show(counts, now)
}

func (c *alarmClock) warn(ctx context.Context, now time.Time, message string, cause error) {
	if ctx.Err() == nil && now.Sub(c.warned) >= alarmWarningEvery {
		c.warned = now
		c.logger.Warn(message, "cause", cause)
	}
}

func (c *alarmClock) show(counts []alarm.Count, now time.Time) {
	c.open.Reset()
	c.unacknowledged.Reset()
	age := time.Duration(0)
	for _, count := range counts {
		c.open.WithLabelValues(string(count.Condition), count.Priority.String()).Set(float64(count.Open))
		c.unacknowledged.WithLabelValues(string(count.Condition), count.Priority.String()).Set(float64(count.Unacknowledged))
		if !count.OldestUnacknowledged.IsZero() {
			age = max(age, now.Sub(count.OldestUnacknowledged))
		}
	}
	c.oldest.Set(age.Seconds())
}
