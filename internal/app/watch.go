package app

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/backoff"
	"heartbeat/internal/kafka"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres"
)

const (
	watchEvery    = 5 * time.Second
	recordEvery   = time.Minute
	caughtUpEvery = 200 * time.Millisecond
)

// watch compares what the broker holds with what the database has stored and reports the difference: lag, and offsets
// that nothing accounts for. It looks at every partition of the topic, whoever consumes it. Once a minute it writes down the
// largest lag it saw, for the console's trends, which outlive any process.
type watch struct {
	client      *kafka.Client
	pool        *postgres.Pool
	logger      *slog.Logger
	meter       *pipeline.Meter
	stalls      *stallDetector
	lag         *prometheus.GaugeVec
	unaccounted *prometheus.GaugeVec
	largest     int64 // lag of all partitions since it was last written down
	due         time.Time
	waiting     atomic.Int64 // lag of all partitions when last looked at
}

func newWatch(client *kafka.Client, pool *postgres.Pool, meter *pipeline.Meter, registry prometheus.Registerer, logger *slog.Logger) *watch {
	w := &watch{
		client: client, pool: pool, logger: logger, meter: meter, stalls: newStallDetector(), due: time.Now().Add(recordEvery),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "heartbeat_consumer_lag_records", Help: "Records in the partition that are not stored yet.",
		}, []string{"partition"}),
		unaccounted: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "heartbeat_unaccounted_offsets", Help: "Offsets below the next offset that are neither stored, dead-lettered, skipped nor recorded as lost. Must be 0.",
		}, []string{"partition"}),
	}
	registry.MustRegister(w.lag, w.unaccounted)
	return w
}

// run reports until the context ends. An outage leaves the last values in place: the consumer itself reports it.
func (w *watch) run(ctx context.Context) error {
	backoff.Every(ctx, watchEvery, func() {
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			w.logger.Debug("lag not measured", "error", err)
		}
	})
	return nil
}

func (w *watch) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, watchEvery)
	defer cancel()
	state, err := w.client.TopicState(ctx)
	if err != nil {
		return err
	}
	w.stalls.observe(time.Now(), w.meter.Partitions(), ends(state))
	standings, err := postgres.Standings(ctx, w.pool, state.ID)
	if err != nil {
		return err
	}
	lag := w.report(state, standings)
	w.waiting.Store(lag)
	return w.record(ctx, time.Now(), lag)
}

// report sets the gauges and returns the lag of all partitions.
func (w *watch) report(state kafka.TopicState, standings map[int32]postgres.Standing) (total int64) {
	for _, partition := range state.Partitions {
		label := strconv.Itoa(int(partition.Number))
		lag := partition.End - partition.Start
		if stored, ok := standings[partition.Number]; ok {
			lag = max(partition.End-stored.NextOffset, 0)
			w.unaccounted.WithLabelValues(label).Set(float64(stored.Unaccounted))
		}
		w.lag.WithLabelValues(label).Set(float64(lag))
		total += lag
	}
	return total
}

// record writes the largest lag down when it is time. Each member of the group does: a trend takes the largest of them.
func (w *watch) record(ctx context.Context, now time.Time, lag int64) error {
	w.largest = max(w.largest, lag)
	if now.Before(w.due) {
		return nil
	}
	if err := postgres.RecordLag(ctx, w.pool, w.largest); err != nil {
		return err
	}
	w.largest, w.due = 0, now.Add(recordEvery)
	return nil
}

// readiness fails while a partition of this process is stopped, cannot store, or stands still though records wait.
func (w *watch) readiness() error {
	for number, status := range w.meter.Partitions() {
		if status.State != pipeline.Running {
			return fmt.Errorf("partition %d is %s since %s: %s", number, status.State, status.Since.UTC().Format(time.RFC3339), status.Cause)
		}
	}
	return w.stalls.check(time.Now())
}

// ends are the offsets after the newest record of each partition.
func ends(state kafka.TopicState) map[int32]int64 {
	ends := map[int32]int64{}
	for _, partition := range state.Partitions {
		ends[partition.Number] = partition.End
	}
	return ends
}

// awaitCaughtUp returns once everything is stored that the topic holds now, by whichever member of the group.
func awaitCaughtUp(ctx context.Context, client *kafka.Client, pool *postgres.Pool) error {
	target, err := client.TopicState(ctx)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(caughtUpEvery)
	defer ticker.Stop()
	for {
		if standings, err := postgres.Standings(ctx, pool, target.ID); err == nil && reached(target, standings) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func reached(target kafka.TopicState, standings map[int32]postgres.Standing) bool {
	for _, partition := range target.Partitions {
		stored, ok := standings[partition.Number]
		if partition.End > partition.Start && (!ok || stored.NextOffset < partition.End) {
			return false
		}
	}
	return true
}
