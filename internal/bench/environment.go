package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"heartbeat/internal/bench/probe"
	"heartbeat/internal/bench/procstat"
	"heartbeat/internal/embedded/broker"
	"heartbeat/internal/embedded/pgserver"
	"heartbeat/internal/kafka"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/port"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/postgres/schema"
	"heartbeat/internal/process"
)

const (
	stopTime = 30 * time.Second
	// sessions allows a writer for each partition of a default topic, and an observer.
	sessions = 8
)

// environment is the servers of a run, with the names of its databases and topics.
type environment struct {
	options    Options
	dir        string // scratch, removed after the run
	brokers    []string
	brokerPid  int // 0: on another machine
	server     postgres.Options
	admin      *probe.Probe
	serverInfo probe.Server
	postmaster int    // process id; 0: on another machine
	prefix     string // of the names of all databases and topics of this run
	databases  int
	topics     int
	cleanup    []func() error // last in, first out
}

// newEnvironment starts the private servers and connects to the given ones.
func newEnvironment(ctx context.Context, options Options) (e *environment, err error) {
	dir, err := os.MkdirTemp(options.Dir, "heartbeat-bench-")
	if err != nil {
		return nil, fmt.Errorf("create scratch directory: %w", err)
	}
	e = &environment{options: options, dir: dir, brokers: options.Brokers, server: options.Database}
	e.prefix = "bench_" + strings.ToLower(rand.Text()[:7])
	e.onClose(func() error { return os.RemoveAll(dir) })
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	// PostgreSQL runs as another user and must be able to enter.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	if len(e.brokers) > 0 {
		e.brokerPid = brokerProcess(e.brokers)
	} else if err := e.startBroker(ctx); err != nil {
		return nil, err
	}
	if e.server.URL == "" && e.server.Host == "" {
		if err := e.startDatabase(ctx); err != nil {
			return nil, err
		}
	}
	return e, e.inspect(ctx)
}

func (e *environment) onClose(cleanup func() error) { e.cleanup = append(e.cleanup, cleanup) }

func (e *environment) close() (err error) {
	for i := len(e.cleanup) - 1; i >= 0; i-- {
		err = errors.Join(err, e.cleanup[i]())
	}
	return err
}

// startBroker runs the embedded broker in its own process, so that its cost can be measured separately.
func (e *environment) startBroker(ctx context.Context) error {
	address := make(chan string, 1)
	broker, err := process.Start(process.Command{
		Path: e.options.Binary, Args: []string{"bench-broker", "--dir", filepath.Join(e.dir, "broker")}, Dir: e.dir,
		DeathSignal: syscall.SIGTERM,
		Output: func(line string) {
			if found, ok := strings.CutPrefix(line, BrokerGreeting); ok {
				address <- found
			}
		},
	})
	if err != nil {
		return err
	}
	e.onClose(func() error { return broker.Stop(context.Background(), stopTime, syscall.SIGTERM) })
	select {
	case found := <-address:
		e.brokers, e.brokerPid = []string{found}, broker.Pid()
		return nil
	case <-broker.Done():
		return broker.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// brokerProcess returns the process of a single broker on this machine, else 0.
func brokerProcess(brokers []string) int {
	host, text, err := net.SplitHostPort(brokers[0])
	if err != nil || len(brokers) > 1 {
		return 0
	}
	if !port.Loopback(host) {
		return 0
	}
	number, _ := strconv.Atoi(text)
	return procstat.ListenerOf(number)
}

// BrokerGreeting precedes the address in the first line of the broker's process.
const BrokerGreeting = "broker listens on "

// retainBytes holds the longest topic of a full run while it is drained.
const retainBytes = 4 << 30

// ServeBroker runs the embedded broker until the context ends, in the process that startBroker starts.
func ServeBroker(ctx context.Context, dir string, ready func(string)) error {
	broker, err := broker.Start(ctx, broker.Options{Dir: dir, RetainBytes: retainBytes})
	if err != nil {
		return err
	}
	ready(BrokerGreeting + broker.Address())
	<-ctx.Done()
	return broker.Stop(context.WithoutCancel(ctx))
}

// startDatabase runs a private PostgreSQL with its default settings.
func (e *environment) startDatabase(ctx context.Context) error {
	server, err := pgserver.Start(ctx, pgserver.Options{
		Dir: filepath.Join(e.dir, "postgres"), Database: "heartbeat_db", User: "heartbeat_user", Password: rand.Text(), Superuser: true,
	})
	if err != nil {
		return err
	}
	e.onClose(func() error { return server.Stop(context.Background()) })
	e.server = postgres.Options{URL: server.URL()}
	return nil
}

// inspect connects to the database server and reads its version, settings and process.
func (e *environment) inspect(ctx context.Context) error {
	e.server.Role, e.server.MaxConns = "bench", 1
	pool, err := postgres.Open(ctx, e.server)
	if err != nil {
		return err
	}
	e.onClose(func() error { pool.Close(); return nil })
	if err := postgres.Ping(ctx, pool); err != nil {
		return err
	}
	e.admin = probe.New(pool)
	if e.serverInfo, err = e.admin.Server(ctx); err != nil {
		return err
	}
	if e.serverInfo.Local {
		e.postmaster = procstat.PostmasterOf(e.serverInfo.Backend)
	}
	return nil
}

// database is a database of the run, with the schema.
type database struct {
	environment *environment
	name        string
	url         string
	probe       *probe.Probe
	dashboard   *query.Dashboard
	tables      *partition.Maintainer
	close       func()
}

// database creates a database with the current schema and partitions.
func (e *environment) database(ctx context.Context) (*database, error) { return e.partitioned(ctx, 0) }

// partitioned creates a database with partitions of a width.
func (e *environment) partitioned(ctx context.Context, width time.Duration) (*database, error) {
	e.databases++
	d := &database{environment: e, name: fmt.Sprintf("heartbeat_%s_%d", e.prefix, e.databases)}
	options, err := e.server.WithDatabase(d.name)
	if err != nil {
		return nil, err
	}
	if err := e.admin.CreateDatabase(ctx, d.name); err != nil {
		return nil, err
	}
	options.MaxConns = sessions
	pool, err := postgres.Open(ctx, options)
	if err != nil {
		return nil, errors.Join(err, d.drop())
	}
	d.url, d.close = options.URL, pool.Close
	d.probe, d.dashboard = probe.New(pool), query.NewDashboard(pool)
	if _, err := schema.Migrate(ctx, pool); err != nil {
		return nil, errors.Join(err, d.drop())
	}
	d.tables = partition.New(pool, 0)
	d.tables.Width = width
	if err := d.tables.Maintain(ctx); err != nil {
		return nil, errors.Join(err, d.drop())
	}
	return d, nil
}

// drop removes the database, also when the run was interrupted.
func (d *database) drop() error {
	if d.close != nil {
		d.close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	return d.environment.admin.DropDatabase(ctx, d.name)
}

// stored returns the next offset of each partition, and their sum.
func (d *database) stored(ctx context.Context, topic *topic) (next []int64, total int64, err error) {
	next = make([]int64, topic.partitions)
	if _, err := d.probe.NextOffsets(ctx, topic.id, next); err != nil {
		return nil, 0, err
	}
	for _, offset := range next {
		total += offset
	}
	return next, total, nil
}

// consume starts the consumer process on the topic and the database.
func (d *database) consume(topic *topic, options ...string) (*process.Process, error) {
	environment := append(os.Environ(),
		"KAFKA_BOOTSTRAP_SERVERS="+strings.Join(d.environment.brokers, ","), "KAFKA_TOPIC="+topic.name,
		"KAFKA_GROUP_ID="+d.name+"-"+topic.name, "DATABASE_URL="+d.url)
	return process.Start(process.Command{
		Path: d.environment.options.Binary, Args: append([]string{"consume", "--metrics-address", "none"}, options...), Env: environment, Dir: d.environment.dir,
		DeathSignal: syscall.SIGTERM,
	})
}

func (e *environment) kafka(topic string) kafka.Config {
	return kafka.Config{Brokers: e.brokers, Topic: topic, Logger: e.options.Logger}
}

// topic is a topic of the run.
type topic struct {
	name       string
	id         [16]byte
	partitions int
	content    probe.Content // expected rows of a database that has stored all of it
	began      time.Time     // timestamp of the first event, where events have equal distances
	every      time.Duration

	readings [][]pipeline.Reading // by partition; nil unless kept
}

// offsets returns the number of events in the topic.
func (t *topic) offsets() int64 { return t.content.Records + t.content.Anomalies }
