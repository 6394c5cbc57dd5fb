package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"heartbeat/internal/alarmfeed"
	"heartbeat/internal/backoff"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/kafka"
	"heartbeat/internal/live"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/outbox"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/postgres/schema"
	"heartbeat/internal/postgres/userstore"
	"heartbeat/internal/progress"
	"heartbeat/internal/readmodel"
	"heartbeat/internal/web"
)

// ServeOptions set up the console role.
type ServeOptions struct {
	Console   ConsoleOptions
	Listener  net.Listener // from ListenConsole; Serve closes it
	Kafka     kafka.Config
	Group     string // the consumers' group, which explains a stall
	Database  postgres.Options
	Customers int // expected: those of whom nothing is known are shown as never seen
	Version   string
	Registry  *prometheus.Registry
	Logger    *slog.Logger
}

const (
	restoreTimeout = 20 * time.Second
	restoreRetry   = 5 * time.Second
	restoredAlerts = 200
)

// CheckBasePath refuses a base path that no proxy could pass on unchanged.
func CheckBasePath(base string) error { return httpserver.CheckBasePath(base) }

// Serve shows what arrives on the topic and what is stored, until the context ends. It answers at once and shows
// what is missing: neither broker nor database must be up when it starts.
func Serve(ctx context.Context, options ServeOptions) error {
	if err := options.Kafka.Check(); err != nil {
		return errors.Join(err, options.Listener.Close())
	}
	logger := options.Logger.With("component", "serve")
	options.Database.KeepReadOnly = true // its role may be one that only reads
	pool, err := postgres.Open(ctx, options.Database)
	if err != nil {
		return errors.Join(err, options.Listener.Close())
	}
	defer pool.Close()
	dashboard := query.NewDashboard(pool)
	hub := live.New(live.Options{})
	follower := kafka.NewFollower(options.Kafka, hub.Observe, hub.ObserveLate)
	monitor := &topicMonitor{config: options.Kafka, group: options.Group}
	defer monitor.close()
	alarmStore := alarmstore.New(pool)
	alarms := alarmfeed.New(alarmStore, logger)
	trials := newTrialRunner(options.Kafka, options.Database, logger)
	gauge := newAlarmGauge(alarmStore, options.Registry, logger)
	access, err := options.Console.access(userstore.New(pool), options.Listener)
	if err != nil {
		return errors.Join(err, options.Listener.Close())
	}
	server, err := web.New(web.Options{
		Fleet: hub, Store: dashboard, Readings: query.NewReadings(pool), Broker: monitor, Feed: feed{follower}, Replayer: newReplayer(pool), Alarms: alarms, AlarmStore: alarmStore, LimitStore: alarmStore,
		Trials: trials, Deliveries: outbox.New(pool),
		Logger: options.Logger, Registry: options.Registry,
		Pool: options.Customers, Version: options.Version, Auth: access, MaxViewers: options.Console.MaxViewers,
		BasePath: options.Console.BasePath, Hosts: options.Console.Hosts,
	})
	if err != nil {
		return errors.Join(err, options.Listener.Close())
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return hub.Run(ctx) })
	group.Go(func() error { return server.Run(ctx) })
	group.Go(func() error { return server.Serve(ctx, options.Listener) })
	group.Go(func() error { return monitor.run(ctx) })
	group.Go(func() error { return alarms.Run(ctx) })
	group.Go(func() error { return gauge.run(ctx) })
	group.Go(func() error { return trials.Run(ctx) })
	group.Go(func() error { return showSilences(ctx, hub, dashboard, logger) })
	group.Go(func() error { return refuseUnsuitable(ctx, pool) })
	tried := make(chan struct{})
	group.Go(func() error { return restore(ctx, hub, dashboard, logger, sync.OnceFunc(func() { close(tried) })) })
	group.Go(func() error {
		<-tried
		return follower.Run(ctx)
	})
	logger.Info("console", "address", "http://"+options.Listener.Addr().String()+options.Console.BasePath)
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// refuseUnsuitable fails once a database answers that no role could work with: its error says what to change. A missing schema may still
// come.
func refuseUnsuitable(ctx context.Context, pool *postgres.Pool) error {
	for {
		err := postgres.Ping(ctx, pool)
		if errors.Is(err, postgres.ErrTransactionPooling) {
			return err
		}
		if err == nil {
			err = schema.Check(ctx, pool)
			if _, unsuitable := errors.AsType[*schema.UnsuitableError](err); unsuitable {
				return err
			}
			if _, version := errors.AsType[*schema.Error](err); version || err == nil {
				return nil
			}
		}
		if err := backoff.Sleep(ctx, restoreRetry); err != nil {
			return err
		}
	}
}

// restore fills the wall with what is stored before live readings come on top. Where the database does not answer, the live ones
// come first and the stored ones follow: without them the wall of a fleet that reports once an hour would stay empty.
func restore(ctx context.Context, hub *live.Hub, dashboard *query.Dashboard, logger *slog.Logger, tried func()) error {
	for {
		err := restoreOnce(ctx, hub, dashboard)
		tried()
		if err == nil || ctx.Err() != nil {
			return nil
		}
		logger.Warn("stored state not read, trying again; the wall fills as readings arrive", "cause", err)
		if backoff.Sleep(ctx, restoreRetry) != nil {
			return nil
		}
	}
}

func restoreOnce(ctx context.Context, hub *live.Hub, dashboard *query.Dashboard) error {
	ctx, cancel := context.WithTimeout(ctx, restoreTimeout)
	defer cancel()
	readings, err := dashboard.Fleet(ctx)
	if err != nil {
		return err
	}
	anomalies, err := dashboard.Anomalies(ctx, readmodel.AnomalyQuery{Limit: restoredAlerts})
	if err != nil {
		return err
	}
	hub.Restore(readings, alertsOf(anomalies))
	return nil
}

const (
	silencesEvery   = time.Second
	silencesTimeout = 5 * time.Second
	// silencesRest is the pause after a poll, as a multiple of its duration: a slow database is asked less often.
	silencesRest = 9
)

// showSilences shows on the wall who is silent. While the database does not answer, the wall stays as it was.
func showSilences(ctx context.Context, hub *live.Hub, dashboard *query.Dashboard, logger *slog.Logger) error {
	backoff.Repeat(ctx, silencesEvery, silencesRest, func() {
		ctx, cancel := context.WithTimeout(ctx, silencesTimeout)
		defer cancel()
		silent, err := dashboard.Silences(ctx)
		if err != nil {
			logger.Debug("silences not read", "cause", err)
			return
		}
		hub.SetSilent(silent)
	})
	return ctx.Err()
}

// alertsOf returns anomalies as readings, oldest first.
func alertsOf(anomalies []readmodel.Anomaly) []heartbeat.Reading {
	var alerts []heartbeat.Reading
	for _, anomaly := range slices.Backward(anomalies) {
		id, err := heartbeat.ParseCustomerID(anomaly.Customer)
		if err != nil {
			continue // the schema's check lets none of these in
		}
		class, bpm := heartbeat.Classify(float64(anomaly.BPM))
		alerts = append(alerts, heartbeat.Reading{Customer: id, Class: class, BPM: bpm, Time: anomaly.EventTime.UTC()})
	}
	return alerts
}

// feed reports the state of the follower to the console.
type feed struct{ follower *kafka.Follower }

func (f feed) Status() readmodel.Feed {
	following, since, cause := f.follower.Status()
	status := readmodel.Feed{Following: following, Since: since}
	if cause != nil {
		status.Detail = cause.Error()
	}
	return status
}

// topicMonitor asks the broker for topic and group, once there is a broker.
type topicMonitor struct {
	config kafka.Config
	group  string
	client atomic.Pointer[kafka.Client]
}

var errNotConnected = errors.New("not connected to the broker yet")

// run connects, for as long as it takes.
func (m *topicMonitor) run(ctx context.Context) error {
	for {
		client, err := kafka.Connect(ctx, m.config)
		if err == nil {
			m.client.Store(client)
			<-ctx.Done()
			return ctx.Err()
		}
		if err := backoff.Sleep(ctx, restoreRetry); err != nil { // wrong credentials fail at once; the follower logs them
			return err
		}
	}
}

func (m *topicMonitor) close() {
	if client := m.client.Load(); client != nil {
		client.Close()
	}
}

// Topic returns the topic's identity and offsets.
func (m *topicMonitor) Topic(ctx context.Context) (*progress.Topic, error) {
	client := m.client.Load()
	if client == nil {
		return nil, errNotConnected
	}
	return client.Topic(ctx)
}

// Group describes the consumer group.
func (m *topicMonitor) Group(ctx context.Context) *progress.Group {
	client := m.client.Load()
	if client == nil {
		return nil
	}
	return client.Group(ctx, m.group)
}
