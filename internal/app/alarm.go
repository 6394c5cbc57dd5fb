package app

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/alarm"
	"heartbeat/internal/alarmreplay"
	"heartbeat/internal/detect"
	"heartbeat/internal/dryrun"
	"heartbeat/internal/kafka"
	"heartbeat/internal/notifier"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/outbox"
	"heartbeat/internal/storedlog"
)

// Alarms is the role that acts on alarms and limits. It must be closed.
type Alarms struct {
	*alarmstore.Store
	pool *postgres.Pool
}

// OpenAlarms connects to the database.
func OpenAlarms(ctx context.Context, options postgres.Options, logger *slog.Logger) (*Alarms, error) {
	pool, err := openDatabase(ctx, options, logger)
	if err != nil {
		return nil, err
	}
	return &Alarms{Store: alarmstore.New(pool), pool: pool}, nil
}

// Close disconnects.
func (a *Alarms) Close() { a.pool.Close() }

// TryLimitsOptions say which limits are tried, and over which readings.
type TryLimitsOptions struct {
	Kafka    kafka.Config
	Proposed []alarm.Limit
	Over     dryrun.Period
	Progress func(string) // is told what is being read; may be nil
}

// dryRunWarmUp is how much of the log before the period prepares the detector: until then every rule has forgotten what came
// before, for devices that report at least once in five minutes.
const dryRunWarmUp = 6 * time.Hour

// dryRunTail is how long after the period a reading of it can arrive and still be judged.
const dryRunTail = 3 * time.Minute

// TryLimits runs the detector with proposed limits over the readings that are stored and that Kafka still has.
func (a *Alarms) TryLimits(ctx context.Context, options TryLimitsOptions) (dryrun.Result, error) {
	began := time.Now()
	existing, members, _, err := a.LimitHistory(ctx)
	if err != nil {
		return dryrun.Result{}, err
	}
	proposed, err := dryrun.Propose(existing, options.Proposed, options.Over.From)
	if err != nil {
		return dryrun.Result{}, err
	}
	limits := [2]*detect.LimitHistory{}
	for i, entries := range [2][]detect.Limit{existing, proposed} {
		if limits[i], err = detect.NewLimitHistory(detect.DefaultLimits(), entries, members); err != nil {
			return dryrun.Result{}, err
		}
	}
	trial, err := dryrun.New(detect.DefaultSettings(), limits[1], options.Over)
	if err != nil {
		return dryrun.Result{}, err
	}
	replay := alarmreplay.New(detect.DefaultSettings(), limits[0])
	replay.Observe = trial.Step
	logs, err := storedlog.Open(ctx, a.pool, options.Kafka)
	if err != nil {
		return dryrun.Result{}, err
	}
	defer logs.Close()
	around := storedlog.Between{From: options.Over.From.Add(-dryRunWarmUp), To: options.Over.To.Add(dryRunTail)}
	if err := logs.Replay(ctx, replay, around, options.Progress); err != nil {
		return dryrun.Result{}, err
	}
	result := trial.Result()
	found, more := replay.Differences()
	result.Differences = int64(len(found)) + more
	_, result.Undecided = replay.Customers()
	result.Seconds = time.Since(began).Seconds()
	return result, nil
}

// NotifyOptions set up the notifier role.
type NotifyOptions struct {
	Database       postgres.Options
	File           string // of destinations and routes; empty: everything into the log
	WithValues     bool
	Reload         <-chan os.Signal // reads the file again
	MetricsAddress string           // empty: none
	Registry       *prometheus.Registry
	Logger         *slog.Logger
}

// Notify escalates alarms and tells people, until the context ends.
func Notify(ctx context.Context, options NotifyOptions) error {
	pool, err := openDatabase(ctx, options.Database, options.Logger.With("component", "notify"))
	if err != nil {
		return err
	}
	defer pool.Close()
	role, err := notifier.New(notifier.Options{
		Pool: pool, File: options.File, WithValues: options.WithValues, Reload: options.Reload,
		MetricsAddress: options.MetricsAddress, Registry: options.Registry, Logger: options.Logger,
	})
	if err != nil {
		return err
	}
	return role.Run(ctx)
}

// Outbox lists deliveries and sends dead ones again. It must be closed.
type Outbox struct {
	*outbox.Store
	pool *postgres.Pool
}

// OpenOutbox connects to the database.
func OpenOutbox(ctx context.Context, options postgres.Options, logger *slog.Logger) (*Outbox, error) {
	pool, err := openDatabase(ctx, options, logger)
	if err != nil {
		return nil, err
	}
	return &Outbox{Store: outbox.New(pool), pool: pool}, nil
}

// Close disconnects.
func (o *Outbox) Close() { o.pool.Close() }
