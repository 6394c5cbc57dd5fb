// Package notifier is the role that escalates alarms and tells people: it runs the timer of alarms, routes new events into messages,
// and sends those.
//
// It refuses to start with a file that is not right, and to replace a file that is by one that is not. Any number of notifiers may
// work on one database; each message is sent at least once, with one id and the same bytes. One goroutine routes, one sends for each
// destination, so a receiver that hangs delays no other; all end with Run's context, after the attempts under way.
//
// It is behind the path of a reading: a batch only writes history, which this role reads.
package notifier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"heartbeat/internal/backoff"
	"heartbeat/internal/notify"
	"heartbeat/internal/notify/destination"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/outbox"
	"heartbeat/internal/probeserver"
)

// Options set up a notifier.
type Options struct {
	Pool           *postgres.Pool
	File           string // of destinations and routes; empty: everything into the log
	WithValues     bool   // messages carry the heart rate and its limit
	Reload         <-chan os.Signal
	MetricsAddress string // for metrics, health and readiness; empty: none
	Registry       *prometheus.Registry
	Logger         *slog.Logger

	now     func(context.Context) (time.Time, error) // nil: the database's clock
	timeout time.Duration                            // of an attempt; 0: that of destinations
}

const (
	poll        = 250 * time.Millisecond
	timerEvery  = time.Second
	dropEvery   = time.Hour
	countEvery  = 5 * time.Second
	passTimeout = 30 * time.Second
	// stalledAfter is how long routing, or the timer of alarms, may fail until the notifier is not ready and the watchdog is not pinged.
	stalledAfter = 15 * time.Second
)

// Notifier is a running role.
type Notifier struct {
	options Options
	alarms  *alarmstore.Store
	outbox  *outbox.Store
	logger  *slog.Logger
	metrics *metrics
	owner   string

	settings      atomic.Pointer[settings]
	routed, timed atomic.Int64 // when routing and the timer last succeeded, by this machine's monotonic clock since began
	began         time.Time
}

// settings is what a file gives. It is replaced as a whole.
type settings struct {
	file    *notify.File
	router  *notify.Router
	words   notify.Words
	senders map[string]destination.Sender
}

// Encode makes the bytes of a message. A destination that the file has lost keeps its messages: they are listed, and sent when it is
// back.
func (s *settings) Encode(name string, message *notify.Message) ([]byte, error) {
	if sender, ok := s.senders[name]; ok {
		return sender.Encode(message)
	}
	return s.words.JSON(message)
}

func load(path string, withValues bool, logger *slog.Logger) (*settings, error) {
	file := notify.Default()
	if path != "" {
		var err error
		if file, err = notify.Read(path); err != nil {
			return nil, err
		}
	}
	words := notify.Words{ConsoleURL: file.ConsoleURL, WithValues: withValues}
	senders, err := destination.New(file, words, logger)
	if err != nil {
		return nil, err
	}
	return &settings{file, notify.NewRouter(file), words, senders}, destination.CheckWatchdog(file.Watchdog)
}

// Check returns why a notifier would refuse a file or a secret that it names.
func Check(path string, logger *slog.Logger) error {
	_, err := load(path, false, logger)
	return err
}

// Test sends a test message to a destination of a file, at once and once.
func Test(ctx context.Context, path, name string, logger *slog.Logger) error {
	settings, err := load(path, false, logger)
	if err != nil {
		return err
	}
	sender, ok := settings.senders[name]
	if !ok {
		return fmt.Errorf("there is no destination %q", name)
	}
	now := time.Now()
	body, err := sender.Encode(&notify.Message{ID: uuid.New(), Type: notify.Test, At: now, MadeAt: now})
	if err != nil {
		return err
	}
	return sender.Send(ctx, destination.Delivery{ID: uuid.NewString(), Body: body}, now).Err
}

// New reads the file and returns a notifier.
func New(options Options) (*Notifier, error) {
	logger := options.Logger.With("component", "notify")
	settings, err := load(options.File, options.WithValues, logger)
	if err != nil {
		return nil, err
	}
	n := &Notifier{
		options: options, alarms: alarmstore.New(options.Pool), outbox: outbox.New(options.Pool), logger: logger,
		metrics: newMetrics(options.Registry), owner: uuid.NewString(), began: time.Now(),
	}
	if options.now == nil {
		n.options.now = n.alarms.Now
	}
	n.options.timeout = cmp.Or(options.timeout, destination.Timeout)
	n.settings.Store(settings)
	return n, nil
}

// Run notifies until the context ends.
func (n *Notifier) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if n.options.MetricsAddress != "" {
		probe, err := probeserver.Listen(n.options.MetricsAddress, n.options.Registry, n.ready)
		if err != nil {
			return err
		}
		n.logger.Info("metrics, health and readiness", "address", "http://"+probe.Address())
		group.Go(func() error { return probe.Run(ctx) })
	}
	n.logger.Info("notifying", "destinations", len(n.settings.Load().senders), "routes", len(n.settings.Load().file.Routes))
	group.Go(func() error { return n.every(ctx, timerEvery, "timer", n.timer) })
	group.Go(func() error { return n.every(ctx, poll, "route", n.route) })
	group.Go(func() error { return n.every(ctx, countEvery, "count", n.count) })
	group.Go(func() error { return n.every(ctx, dropEvery, "drop", n.drop) })
	group.Go(func() error { return n.watchdog(ctx) })
	group.Go(func() error { return n.reload(ctx) })
	group.Go(func() error { return n.send(ctx) })
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// every works at an interval, from now on. An error is logged, at most once a minute, and the next turn tries again.
func (n *Notifier) every(ctx context.Context, interval time.Duration, task string, work func(context.Context, time.Time) error) error {
	warned := time.Time{}
	turn := func() {
		bounded, cancel := context.WithTimeout(ctx, passTimeout)
		defer cancel()
		now, err := n.options.now(bounded)
		if err == nil {
			err = work(bounded, now)
		}
		if err != nil && ctx.Err() == nil && time.Since(warned) >= time.Minute {
			warned = time.Now()
			n.logger.Warn("not done, trying again", "task", task, "cause", err)
		}
	}
	backoff.Repeat(ctx, interval, 1, turn)
	return ctx.Err()
}

// timer ends acknowledgements and snoozes, and escalates.
func (n *Notifier) timer(ctx context.Context, now time.Time) error {
	_, err := n.alarms.Expire(ctx, now)
	escalated, escalateErr := n.alarms.Escalate(ctx, now)
	if escalated > 0 {
		n.logger.Info("alarms escalated", "count", escalated)
	}
	if err = errors.Join(err, escalateErr); err == nil {
		n.timed.Store(int64(time.Since(n.began)))
	}
	return err
}

func (n *Notifier) route(ctx context.Context, now time.Time) error {
	settings := n.settings.Load()
	routed, err := n.outbox.Route(ctx, settings.router, settings, now)
	if err != nil {
		return err
	}
	if routed.FailedOver > 0 {
		n.logger.Warn("calls of high priority do not arrive, the next tier is told", "count", routed.FailedOver)
	}
	if routed.Passed > 0 {
		n.logger.Warn("events over a day old send no call", "count", routed.Passed)
	}
	if !routed.Busy { // else the other process may fail each time: only a pass of one's own proves that routing works
		n.routed.Store(int64(time.Since(n.began)))
	}
	return nil
}

func (n *Notifier) count(ctx context.Context, now time.Time) error {
	depths, unrouted, err := n.outbox.Depths(ctx, now)
	if err == nil {
		n.metrics.show(depths, unrouted, now)
	}
	return err
}

func (n *Notifier) drop(ctx context.Context, now time.Time) error {
	return errors.Join(n.outbox.Drop(ctx, now), n.outbox.DropUnknown(ctx))
}

// ready reports why nothing is routed, or no alarm escalated.
func (n *Notifier) ready() error {
	for _, task := range [...]struct {
		failure string
		last    *atomic.Int64
	}{{"no events routed for", &n.routed}, {"no alarms escalated for", &n.timed}} {
		if age := time.Since(n.began) - time.Duration(task.last.Load()); age > stalledAfter {
			return fmt.Errorf("%s %s: see the log", task.failure, age.Round(time.Second))
		}
	}
	return nil
}

// watchdog pings while routing and the timer work, so that silence of the notifier is noticed from outside.
func (n *Notifier) watchdog(ctx context.Context) error {
	pinged, warned := time.Time{}, time.Time{}
	backoff.Every(ctx, timerEvery, func() {
		watchdog := n.settings.Load().file.Watchdog
		if watchdog == nil || time.Since(pinged) < watchdog.Every || n.ready() != nil {
			return
		}
		pinged = time.Now()
		if err := destination.Ping(ctx, watchdog); err != nil && ctx.Err() == nil && time.Since(warned) >= time.Minute {
			warned = time.Now()
			n.logger.Warn("watchdog not pinged", "cause", err)
		}
	})
	return ctx.Err()
}

// reload reads the file again for each signal.
func (n *Notifier) reload(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-n.options.Reload:
		}
		settings, err := load(n.options.File, n.options.WithValues, n.logger)
		if err != nil {
			n.metrics.reloads.WithLabelValues("refused").Inc()
			n.logger.Error("notification file refused, the old one stays", "cause", err)
			continue
		}
		n.settings.Store(settings)
		n.metrics.reloads.WithLabelValues("taken").Inc()
		n.logger.Info("notification file taken", "destinations", len(settings.senders))
	}
}
