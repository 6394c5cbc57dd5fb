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
	"heartbeat/internal/heartbeat"
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

	// Watch is told, after each thousand readings, how many of how many records are read, and of how many customers. It may wait. Its
	// error ends the dry run. It may be nil.
	Watch dryrun.Watch
}

// dryRunWarmUp is how much of the log before the period prepares the detector: until then every rule has forgotten what came
// before, for devices that report at least once in five minutes.
const dryRunWarmUp = 6 * time.Hour

// dryRunTail is how long after the period a reading of it can arrive and still be judged.
const dryRunTail = 3 * time.Minute

// TryLimits runs the detector with proposed limits over the readings that are stored and that Kafka still has.
func (a *Alarms) TryLimits(ctx context.Context, options TryLimitsOptions) (dryrun.Result, error) {
	began := time.Now()
	trial, replay, err := a.prepareTrial(ctx, options)
	if err != nil {
		return dryrun.Result{}, err
	}
	logs, err := storedlog.Open(ctx, a.pool, options.Kafka)
	if err != nil {
		return dryrun.Result{}, err
	}
	defer logs.Close()
	within, err := logs.Stretches(ctx, storedlog.Between(options.Over))
	if err != nil {
		return dryrun.Result{}, err
	}
	around, err := logs.Stretches(ctx, storedlog.Between{From: options.Over.From.Add(-dryRunWarmUp), To: options.Over.To.Add(dryRunTail)})
	if err != nil {
		return dryrun.Result{}, err
	}
	if err := replayWatched(ctx, logs, replay, trial, around, options); err != nil {
		return dryrun.Result{}, err
	}
	result := trial.Result()
	for i := range within {
		result.Cut = result.Cut || within[i].Cut
	}
	found, more := replay.Differences()
	result.Differences = int64(len(found)) + more
	_, result.Undecided = replay.Customers()
	result.Seconds = time.Since(began).Seconds()
	return result, nil
}

func (a *Alarms) prepareTrial(ctx context.Context, options TryLimitsOptions) (*dryrun.Trial, *alarmreplay.Replay, error) {
	existing, members, _, err := a.LimitHistory(ctx)
	if err != nil {
		return nil, nil, err
	}
	proposed, err := dryrun.Propose(existing, options.Proposed, options.Over.From)
	if err != nil {
		return nil, nil, err
	}
	limits := [2]*detect.LimitHistory{}
	for i, entries := range [2][]detect.Limit{existing, proposed} {
		if limits[i], err = detect.NewLimitHistory(detect.DefaultLimits(), entries, members); err != nil {
			return nil, nil, err
		}
	}
	trial, err := dryrun.New(detect.DefaultSettings(), limits[1], options.Over)
	return trial, alarmreplay.New(detect.DefaultSettings(), limits[0]), err
}

// watchEvery is after how many readings Watch is called.
const watchEvery = 1024

// replayWatched steps the trial beside the replay, and tells how far it is.
func replayWatched(ctx context.Context, logs *storedlog.Logs, replay *alarmreplay.Replay, trial *dryrun.Trial, stretches []storedlog.Stretch, options TryLimitsOptions) error {
	replay.Observe = trial.Step
	if options.Watch == nil {
		return logs.Replay(ctx, replay, stretches, options.Progress)
	}
	records := int64(0)
	for i := range stretches {
		records += max(stretches[i].To-stretches[i].From, 0)
	}
	if err := options.Watch(0, records, 0); err != nil {
		return err
	}
	watched, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	replay.Observe = func(customer heartbeat.CustomerID, reading detect.Reading, transitions []detect.Transition) {
		trial.Step(customer, reading, transitions)
		if replay.Readings%watchEvery == 0 && watched.Err() == nil {
			if err := options.Watch(replay.Readings, records, trial.Customers()); err != nil {
				stop(err)
			}
		}
	}
	err := logs.Replay(watched, replay, stretches, options.Progress)
	if cause := context.Cause(watched); cause != nil {
		return cause
	}
	return err
}

// newTrialRunner runs dry runs for a console, each with a connection of its own: the console's are for its pages.
func newTrialRunner(brokers kafka.Config, database postgres.Options, logger *slog.Logger) *dryrun.Runner {
	database.MaxConns = 1
	return dryrun.NewRunner(func(ctx context.Context, proposed []alarm.Limit, over dryrun.Period, watch dryrun.Watch) (dryrun.Result, error) {
		alarms, err := OpenAlarms(ctx, database, logger)
		if err != nil {
			return dryrun.Result{}, err
		}
		defer alarms.Close()
		return alarms.TryLimits(ctx, TryLimitsOptions{Kafka: brokers, Proposed: proposed, Over: over, Watch: watch})
	})
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
