package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"heartbeat/internal/backoff"
	"heartbeat/internal/detect"
	"heartbeat/internal/instanceid"
	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/consumer"
	"heartbeat/internal/lagmonitor"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/probeserver"
	"heartbeat/internal/progress"
)

// ConsumeOptions set up the consumer role.
type ConsumeOptions struct {
	Kafka          kafka.Config
	Group          string
	InstanceID     string        // static membership; empty: one that is kept in StateDir
	StateDir       string        // where instance ids are kept; empty: the user's state directory
	SessionTimeout time.Duration // 0: 6 s
	Database       postgres.Options
	Retention      time.Duration // drop readings older than this, refuse those that arrive older; 0: keep all
	AlarmRetention time.Duration // drop alarms that were closed longer ago than this; 0: keep all
	NoDetection    bool          // raise no alarms
	Background     bool          // leave processor and database to others
	UntilCaughtUp  bool          // end once everything is stored that the topic held at the start
	MetricsAddress string        // for metrics, health and readiness; empty: none
	Registry       *prometheus.Registry
	Logger         *slog.Logger
}

// maintainEvery is how often table partitions are created ahead and dropped.
const maintainEvery = time.Minute

// dropAlarmsEvery is how often closed alarms are dropped by their age.
const dropAlarmsEvery = time.Hour

// Consume validates, classifies and stores what the topic carries, until the context ends or it has caught up.
func Consume(ctx context.Context, options ConsumeOptions) error {
	logger := options.Logger.With("component", "consume")
	pool, err := openDatabase(ctx, options.Database, logger)
	if err != nil {
		return err
	}
	defer pool.Close()
	maintainer := partition.New(pool, options.Retention)
	if err := maintainer.Maintain(ctx); err != nil {
		return err
	}
	meter := pipeline.NewMeter(options.Logger, options.Registry) // its lines are for people: no component
	options.Kafka.Registry = options.Registry
	client, err := kafka.Connect(ctx, options.Kafka)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.EnsureTopic(ctx); err != nil {
		return err
	}
	instance := instanceid.Claim(instanceid.Options{Given: options.InstanceID, StateDir: options.StateDir, Dynamic: options.UntilCaughtUp}, logger)
	defer instance.Release()
	limits := alarmstore.NewLimitCache(pool, detect.DefaultLimits())
	consumer, err := newConsumer(client, instance, options, pool, limits, meter, logger)
	if err != nil {
		return err
	}
	monitor := lagmonitor.New(lagmonitor.Options{
		Client: client, Group: options.Group, Pool: pool, Meter: meter, Registry: options.Registry, Logger: logger,
	})

	ctx, finish := context.WithCancelCause(ctx)
	defer finish(nil)
	group, ctx := errgroup.WithContext(ctx)
	if options.MetricsAddress != "" {
		probe, err := probeserver.Listen(options.MetricsAddress, options.Registry, monitor.Readiness)
		if err != nil {
			return err
		}
		logger.Info("metrics, health and readiness", "address", "http://"+probe.Address())
		group.Go(func() error { return probe.Run(ctx) })
	}
	group.Go(func() error { return consumer.Run(ctx) })
	if !options.NoDetection {
		group.Go(func() error { limits.Run(ctx); return nil })
	}
	group.Go(func() error {
		backoff.Every(ctx, maintainEvery, func() { maintain(ctx, maintainer, logger) })
		return nil
	})
	if options.AlarmRetention > 0 {
		group.Go(func() error {
			drop := func() { dropAlarms(ctx, alarmstore.New(pool), options.AlarmRetention, logger) }
			drop()
			backoff.Every(ctx, dropAlarmsEvery, drop)
			return nil
		})
	}
	group.Go(func() error { return maintainer.RunReindex(ctx, monitor.Waiting, logger) })
	group.Go(func() error { return monitor.Run(ctx) })
	if options.UntilCaughtUp {
		group.Go(func() error {
			if err := awaitCaughtUp(ctx, client, pool); err != nil {
				return err
			}
			finish(errCaughtUp)
			return nil
		})
	}
	err = group.Wait()
	logger.Info(meter.Stats().String())
	if errors.Is(context.Cause(ctx), errCaughtUp) {
		logger.Info("caught up")
		return nil
	}
	return err
}

var errCaughtUp = errors.New("caught up")

func newConsumer(client *kafka.Client, instance instanceid.ID, options ConsumeOptions, pool *postgres.Pool, limits *alarmstore.LimitCache, meter *pipeline.Meter, logger *slog.Logger) (*consumer.Consumer, error) {
	store := ingest.NewStore(pool, owner())
	// A consumer that imports history is always behind, so silence and lag would say nothing.
	watch := !options.NoDetection && !options.Background && !options.UntilCaughtUp
	detection := &pipeline.Detection{Settings: detect.DefaultSettings(), Limits: limits, Store: store, Watch: watch}
	if options.NoDetection {
		detection = nil
	}
	return consumer.New(client, consumer.Config{
		Group: options.Group, InstanceID: instance.Name, InstanceIDChosen: instance.Chosen,
		SessionTimeout: options.SessionTimeout, Background: options.Background, Watch: watch,
		NewWorker: func(partition pipeline.Partition) *pipeline.Worker {
			return pipeline.NewWorker(pipeline.Options{
				Partition: partition, Store: store, Meter: meter, Retention: options.Retention, Detection: detection, Logger: logger,
			})
		},
		Released: meter.Released, FetchFailed: meter.FetchFailed,
	})
}

// owner names this process in the progress rows of the partitions it has claimed.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}

// dropAlarms drops alarms that were closed too long ago.
func dropAlarms(ctx context.Context, store *alarmstore.Store, retention time.Duration, logger *slog.Logger) {
	dropped, err := store.DropClosed(ctx, time.Now().Add(-retention))
	if err != nil && ctx.Err() == nil {
		logger.Warn("closed alarms not dropped, trying again in an hour", "error", err)
	}
	if dropped > 0 {
		logger.Info("closed alarms dropped", "count", dropped, "closed_longer_ago_than", retention)
	}
}

// maintain creates table partitions ahead of time. A failure has no immediate effect: rows without a partition of their
// own go to the default partition and are moved later.
func maintain(ctx context.Context, maintainer *partition.Maintainer, logger *slog.Logger) {
	if err := maintainer.Maintain(ctx); err != nil && ctx.Err() == nil {
		logger.Warn("table partitions not maintained, trying again in a minute", "error", err)
	}
}

const caughtUpEvery = 200 * time.Millisecond

// awaitCaughtUp returns once everything is stored that the topic holds now, by whichever member of the group.
func awaitCaughtUp(ctx context.Context, client *kafka.Client, pool *postgres.Pool) error {
	target, err := client.Topic(ctx)
	if err != nil {
		return err
	}
	for {
		if rows, err := query.ListProgress(ctx, pool); err == nil {
			if lag, _ := progress.Lag(progress.Compare(target, rows)); lag == 0 {
				return nil
			}
		}
		if err := backoff.Sleep(ctx, caughtUpEvery); err != nil {
			return err
		}
	}
}
