package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"heartbeat/internal/embedded/broker"
	"heartbeat/internal/embedded/datadir"
	"heartbeat/internal/embedded/pgserver"
	"heartbeat/internal/kafka"
	"heartbeat/internal/port"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/postgres/schema"
	"heartbeat/internal/simulator"
)

// UpOptions set up the whole system on one machine.
type UpOptions struct {
	DataDir  string        // kept between runs
	Fresh    bool          // start over: delete what earlier runs left in DataDir
	Duration time.Duration // end after this time; 0: when the context ends

	// Kafka without brokers starts the embedded one on BrokerPort, Database without host and URL a private server on
	// PostgresPort. A port that was asked for must be free; of another the next free one is taken.
	Kafka             kafka.Config
	BrokerPort        int
	BrokerPortAsked   bool
	Database          postgres.Options
	PostgresPort      int
	PostgresPortAsked bool

	Produce   simulator.Options // without Kafka, Registry and Logger
	Group     string
	Retention time.Duration

	NoDetection bool   // raise no alarms
	NotifyFile  string // of destinations and routes; empty: messages go into the log

	IngestAddress  string // empty: the default one, whose port gives way when it is taken
	ConsoleAddress string // empty: the default one, whose port gives way when it is taken
	Console        ConsoleOptions

	Version  string
	Registry *prometheus.Registry
	Logger   *slog.Logger
	Out      io.Writer // gets the banner and the summary
}

const (
	// catchUpTime is how long the consumer may take at the end for what the producer has sent.
	catchUpTime = 10 * time.Second
	stopTime    = 30 * time.Second // for each server
)

// Up runs everything until the context ends, the duration is over, or a part fails. Parts stop in the order in which a
// reading meets them, so that what was sent is stored.
func Up(ctx context.Context, options UpOptions) (err error) {
	u := &up{options: options, logger: options.Logger.With("component", "up"), began: time.Now()}
	defer func() { err = errors.Join(err, u.stop()) }()
	if err := u.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop while starting
		}
		return err
	}
	return u.run(ctx)
}

type up struct {
	options UpOptions
	logger  *slog.Logger
	began   time.Time
	cleanup []func() error  // last in, first out
	failed  <-chan struct{} // closed when the private database has ended

	ownBroker, ownDatabase bool
	before                 query.Totals // what was stored when we began
	console, ingest        net.Listener
}

func (u *up) later(cleanup func() error) { u.cleanup = append(u.cleanup, cleanup) }

func (u *up) stop() (err error) {
	for i := len(u.cleanup) - 1; i >= 0; i-- {
		err = errors.Join(err, u.cleanup[i]())
	}
	return err
}

// start brings up broker and database and migrates.
func (u *up) start(ctx context.Context) error {
	release, err := datadir.Lock(u.options.DataDir)
	if err != nil {
		return err
	}
	u.later(release)
	if u.options.Fresh {
		if err := u.clear(ctx); err != nil {
			return err
		}
	}
	if u.console, err = ListenConsole(ctx, u.options.ConsoleAddress, u.options.Console, nil); err != nil {
		return err
	}
	u.later(func() error { u.console.Close(); return nil }) // for a start that does not get as far as serving
	if u.ingest, err = ListenIngest(u.options.IngestAddress); err != nil {
		return err
	}
	u.later(func() error { u.ingest.Close(); return nil })
	if err := u.servers(ctx); err != nil {
		return err
	}
	return u.migrate(ctx)
}

func (u *up) clear(ctx context.Context) error {
	if err := pgserver.Remove(ctx, u.postgresDir(), u.logger); err != nil {
		return err
	}
	if err := os.RemoveAll(u.brokerDir()); err != nil {
		return fmt.Errorf("remove broker data: %w", err)
	}
	return nil
}

func (u *up) postgresDir() string { return filepath.Join(u.options.DataDir, "postgres") }

func (u *up) brokerDir() string { return filepath.Join(u.options.DataDir, "broker") }

// servers starts those of broker and database that we bring ourselves, side by side.
func (u *up) servers(ctx context.Context) error {
	var group errgroup.Group
	var ownBroker *broker.Broker
	var database *pgserver.Server
	if len(u.options.Kafka.Brokers) == 0 {
		group.Go(func() (err error) {
			ownBroker, err = broker.Start(ctx, broker.Options{
				Dir: u.brokerDir(), Port: u.options.BrokerPort, PortAsked: u.options.BrokerPortAsked, Logger: u.options.Logger,
			})
			return err
		})
	}
	if u.options.Database.URL == "" && u.options.Database.Host == "" {
		group.Go(func() (err error) {
			database, err = pgserver.Start(ctx, pgserver.Options{
				Dir: u.postgresDir(), Port: u.options.PostgresPort, PortAsked: u.options.PostgresPortAsked,
				Database: u.options.Database.Database, User: u.options.Database.User, Password: u.options.Database.Password,
				Logger: u.options.Logger,
			})
			return err
		})
	}
	err := group.Wait()
	if ownBroker != nil {
		u.later(within(stopTime, ownBroker.Stop))
		u.ownBroker = true
		u.options.Kafka.Brokers = []string{ownBroker.Address()}
	}
	if database != nil {
		u.later(within(stopTime, database.Stop))
		u.ownDatabase = true
		u.failed = database.Done()
		u.options.Database.Host, u.options.Database.Port = port.Host, database.Port
		u.options.Database.SSLMode = "disable" // whatever certificates the user's home holds
	}
	return err
}

func within(limit time.Duration, stop func(context.Context) error) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		return stop(ctx)
	}
}

func (u *up) migrate(ctx context.Context) error {
	pool, err := openServer(ctx, u.options.Database, u.logger)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := schema.Migrate(ctx, pool); err != nil {
		return err
	}
	u.before, err = query.ReadTotals(ctx, pool)
	return err
}

// run starts the roles and stops them in order.
func (u *up) run(ctx context.Context) error {
	if u.options.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, u.options.Duration)
		defer cancel()
	}
	roles, ended := errgroup.WithContext(context.WithoutCancel(ctx)) // ended when a role fails
	producing, stopProducing := context.WithCancel(ended)
	storing, stopStoring := context.WithCancel(ended)
	defer stopProducing()
	defer stopStoring()

	roles.Go(func() error { return unlessStopped(storing, Consume(storing, u.consume())) })
	roles.Go(func() error { return unlessStopped(storing, Serve(storing, u.serve())) })
	roles.Go(func() error { return unlessStopped(storing, Notify(storing, u.notify())) })
	u.banner()
	produced := make(chan error, 1)
	go func() {
		sources, producing := errgroup.WithContext(producing)
		sources.Go(func() error { return unlessStopped(producing, simulator.Run(producing, u.produce())) })
		sources.Go(func() error { return unlessStopped(producing, Ingest(producing, u.takeReadings())) })
		produced <- sources.Wait()
	}()

	var failure error
	select {
	case <-ctx.Done():
	case <-ended.Done():
	case <-u.failed:
		failure = errors.New("the database server has ended by itself: see its log above")
	case failure = <-produced:
		produced <- nil
	}
	u.logger.Info("stopping: producer and ingest first, then the consumer once it has caught up")
	stopProducing()
	failure = errors.Join(failure, <-produced)
	if failure == nil && ended.Err() == nil {
		u.catchUp(ended)
	}
	stopStoring()
	if err := errors.Join(failure, roles.Wait()); err != nil {
		return err
	}
	return u.summary()
}

// unlessStopped returns the error of a role, or nil where the role was stopped while it started: the rule that the command line
// has for a role in its own process.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (u *up) produce() simulator.Options {
	options := u.options.Produce
	options.Kafka, options.Registry, options.Logger = u.options.Kafka, u.options.Registry, u.options.Logger
	return options
}

func (u *up) takeReadings() IngestOptions {
	return IngestOptions{
		Listener: u.ingest, Kafka: u.options.Kafka, Database: u.options.Database, Retention: u.options.Retention,
		Registry: u.options.Registry, Logger: u.options.Logger,
	}
}

func (u *up) consume() ConsumeOptions {
	return ConsumeOptions{
		Kafka: u.options.Kafka, Group: u.options.Group, StateDir: u.options.DataDir, Database: u.options.Database,
		Retention: u.options.Retention, NoDetection: u.options.NoDetection, Registry: u.options.Registry, Logger: u.options.Logger,
	}
}

func (u *up) notify() NotifyOptions {
	return NotifyOptions{
		Database: u.options.Database, File: u.options.NotifyFile, Registry: u.options.Registry, Logger: u.options.Logger,
	}
}

func (u *up) serve() ServeOptions {
	u.options.Console.LocalAlways = true
	return ServeOptions{
		Listener: u.console, Console: u.options.Console,
		Kafka: u.options.Kafka, Group: u.options.Group, Database: u.options.Database, Customers: u.options.Produce.Fleet.Customers,
		Version: u.options.Version, Registry: u.options.Registry, Logger: u.options.Logger,
	}
}

// catchUp waits until all that was sent is stored, for as long as a person waits after Ctrl-C.
func (u *up) catchUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, catchUpTime)
	defer cancel()
	if err := u.awaitCaughtUp(ctx); err != nil {
		u.logger.Warn("not everything that was sent is stored yet; the next start goes on from there", "cause", err)
	}
}

func (u *up) awaitCaughtUp(ctx context.Context) error {
	client, err := kafka.Connect(ctx, u.options.Kafka)
	if err != nil {
		return err
	}
	defer client.Close()
	pool, err := postgres.Open(ctx, u.options.Database)
	if err != nil {
		return err
	}
	defer pool.Close()
	return awaitCaughtUp(ctx, client, pool)
}
