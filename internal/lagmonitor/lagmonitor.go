// Package lagmonitor measures what a consumer has not stored yet, and decides whether the consumer is ready.
//
// It changes nothing but the lag that it records for the console's trends, and decides nothing about partitions itself: package
// progress does. Run is one goroutine; the other methods may be called from any.
//
// It stands beside the path of a reading: it compares the broker's offsets with the stored ones.
package lagmonitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/backoff"
	"heartbeat/internal/kafka"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/progress"
)

const (
	measureEvery = 5 * time.Second
	measureSoon  = time.Second // while the process is not ready
	recordEvery  = time.Minute
)

// Monitor compares what the broker holds with what the database has stored and reports the difference: lag, and offsets
// that nothing accounts for. It measures every partition of the topic, whichever member of the group consumes it. Once a
// minute it stores the largest lag it saw, for the console's trends, which outlive any process.
type Monitor struct {
	client      *kafka.Client
	group       string
	pool        *postgres.Pool
	logger      *slog.Logger
	meter       *pipeline.Meter
	tracker     progress.Tracker
	lag         *prometheus.GaugeVec
	unaccounted *prometheus.GaugeVec
	largest     int64 // lag of all partitions since it was last stored
	due         time.Time
	waiting     atomic.Int64 // lag of all partitions when last measured

	mu     sync.Mutex // guards all below
	report progress.Report
	owners *progress.Group // nil until a stall asks for it
	err    error           // of the last measurement
	failed time.Time       // when measurements began to fail
}

// Options set up a Monitor.
type Options struct {
	Client   *kafka.Client // the caller closes it
	Group    string        // the consumers' group, which explains a stall
	Pool     *postgres.Pool
	Meter    *pipeline.Meter // knows the partitions of this process
	Registry prometheus.Registerer
	Logger   *slog.Logger
}

// New returns a Monitor and registers its gauges.
func New(options Options) *Monitor {
	m := &Monitor{
		client: options.Client, group: options.Group, pool: options.Pool, logger: options.Logger, meter: options.Meter,
		due: time.Now().Add(recordEvery), failed: time.Now(), err: errNotMeasured,
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "heartbeat_consumer_lag_records", Help: "Records in the partition that are not stored yet.",
		}, []string{"partition"}),
		unaccounted: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "heartbeat_unaccounted_offsets", Help: "Offsets below the next offset that are neither stored, dead-lettered, skipped nor recorded as lost. Must be 0.",
		}, []string{"partition"}),
	}
	options.Registry.MustRegister(m.lag, m.unaccounted)
	return m
}

var errNotMeasured = errors.New("not measured yet")

// Run measures until the context ends. An outage leaves the last values of the gauges in place.
func (m *Monitor) Run(ctx context.Context) error {
	for {
		if err := m.measure(ctx); err != nil && ctx.Err() == nil {
			m.logger.Debug("lag not measured", "error", err)
		}
		wait := measureEvery
		if m.Readiness() != nil {
			wait = measureSoon
		}
		if backoff.Sleep(ctx, wait) != nil {
			return nil
		}
	}
}

func (m *Monitor) measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, measureEvery)
	defer cancel()
	now := time.Now()
	report, owners, err := m.observe(ctx, now)
	m.mu.Lock()
	if err != nil {
		if m.err == nil {
			m.failed = now
		}
		m.tracker.Interrupt(now)
	} else {
		m.report, m.owners = report, owners
	}
	m.err = err
	m.mu.Unlock()
	if err != nil {
		return err
	}
	m.show(report)
	lag, _ := progress.Lag(report.Partitions)
	m.waiting.Store(lag)
	return m.record(ctx, now, lag)
}

func (m *Monitor) observe(ctx context.Context, now time.Time) (report progress.Report, owners *progress.Group, err error) {
	topic, err := m.client.Topic(ctx)
	if err != nil {
		return report, nil, err
	}
	rows, err := query.ListProgress(ctx, m.pool)
	if err != nil {
		return report, nil, err
	}
	report = m.tracker.Observe(progress.Observation{At: now, Topic: topic, Rows: rows})
	if len(report.Stalled()) > 0 {
		owners = m.client.Group(ctx, m.group)
		report.Explain(owners)
	}
	return report, owners, nil
}

func (m *Monitor) show(report progress.Report) {
	for _, p := range report.Partitions {
		if p.Lag == nil {
			continue // of another topic, or of a log that was replaced
		}
		label := strconv.Itoa(int(p.Partition))
		m.lag.WithLabelValues(label).Set(float64(*p.Lag))
		m.unaccounted.WithLabelValues(label).Set(float64(p.Unaccounted))
	}
}

// record stores the largest lag when it is time. Each member of the group does: a trend takes the largest of them.
func (m *Monitor) record(ctx context.Context, now time.Time, lag int64) error {
	m.largest = max(m.largest, lag)
	if now.Before(m.due) {
		return nil
	}
	if err := ingest.RecordLag(ctx, m.pool, m.largest); err != nil {
		return err
	}
	m.largest, m.due = 0, now.Add(recordEvery)
	return nil
}

// Waiting is the lag of all partitions when last measured, 0 before.
func (m *Monitor) Waiting() int64 { return m.waiting.Load() }

// Readiness returns why readings are not stored: a partition of this process is stopped or cannot be stored, broker or
// database do not answer, or records wait in a partition for which no other consumer of the group answers.
func (m *Monitor) Readiness() error {
	owned := m.meter.Partitions()
	for number, status := range owned {
		if status.State != pipeline.Running {
			return fmt.Errorf("partition %d is %s since %s: %s", number, status.State, status.Since.UTC().Format(time.RFC3339), status.Cause)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case errors.Is(m.err, errNotMeasured):
		return m.err
	case m.err != nil && time.Since(m.failed) >= progress.StalledAfter:
		return fmt.Errorf("progress not known since %s: %w", m.failed.UTC().Format(time.RFC3339), m.err)
	}
	err := notStored(m.report, owned, m.owners)
	for _, number := range slices.Sorted(maps.Keys(owned)) {
		if cause := m.meter.FetchError(number); err != nil && cause != nil {
			return fmt.Errorf("%w; partition %d cannot be fetched: %w", err, number, cause)
		}
	}
	return err
}

// notStored returns why partitions that concern a process are not stored: its own, and those that belong to no other
// Heartbeat consumer.
func notStored(report progress.Report, owned map[int32]pipeline.Status, group *progress.Group) error {
	var stalled []progress.Partition
	for _, p := range report.Partitions {
		if _, mine := owned[p.Partition]; !mine && belongsElsewhere(p.Partition, len(owned), group) {
			continue
		}
		if p.StalledSince != nil {
			stalled = append(stalled, p)
		} else if p.Waiting {
			return fmt.Errorf("partition %d: %d records wait and this process has not seen one stored yet", p.Partition, *p.Lag)
		}
	}
	if len(stalled) == 0 {
		return nil
	}
	return errors.New(progress.Describe(stalled))
}

// belongsElsewhere reports whether a partition that this process does not own is another consumer's concern. A process that
// owns none cannot recognise itself in the group's description.
func belongsElsewhere(partition int32, owned int, group *progress.Group) bool {
	if owned == 0 {
		return false
	}
	if group == nil || group.Err != nil {
		return true
	}
	member, assigned := group.Assigned(partition)
	return assigned && member.Ours
}
