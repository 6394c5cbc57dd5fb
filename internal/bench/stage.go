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

	"heartbeat/internal/embedded/broker"
	"heartbeat/internal/embedded/pgserver"
	"heartbeat/internal/kafka"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/port"
	"heartbeat/internal/postgres"
	"heartbeat/internal/process"
)

const (
	stopTime = 30 * time.Second
	// sessions is room for as many writers as a topic usually has partitions, and for an observer.
	sessions = 8
)

// stage is the servers that everything is measured on.
type stage struct {
	options    Options
	dir        string // scratch, goes with the run
	brokers    []string
	brokerPid  int // 0: not to be seen from here
	server     postgres.Options
	admin      *postgres.Yardstick
	facts      postgres.ServerFacts
	postmaster int    // process id, 0: not to be seen from here
	prefix     string // of the names of all databases and topics of this run
	databases  int
	topics     int
	cleanup    []func() error // last in, first out
}

// setUp starts or reaches the servers.
func setUp(ctx context.Context, options Options) (s *stage, err error) {
	dir, err := os.MkdirTemp(options.Dir, "heartbeat-bench-")
	if err != nil {
		return nil, fmt.Errorf("create scratch directory: %w", err)
	}
	s = &stage{options: options, dir: dir, brokers: options.Brokers, server: options.Database}
	s.prefix = "bench_" + strings.ToLower(rand.Text()[:7])
	s.later(func() error { return os.RemoveAll(dir) })
	defer func() {
		if err != nil {
			err = errors.Join(err, s.tearDown())
		}
	}()
	// The database's own user must be able to pass.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	if len(s.brokers) > 0 {
		s.brokerPid = localBroker(s.brokers)
	} else if err := s.startBroker(ctx); err != nil {
		return nil, err
	}
	if s.server.URL == "" && s.server.Host == "" {
		if err := s.startDatabase(ctx); err != nil {
			return nil, err
		}
	}
	return s, s.inspect(ctx)
}

func (s *stage) later(cleanup func() error) { s.cleanup = append(s.cleanup, cleanup) }

func (s *stage) tearDown() (err error) {
	for i := len(s.cleanup) - 1; i >= 0; i-- {
		err = errors.Join(err, s.cleanup[i]())
	}
	return err
}

// startBroker runs the embedded broker in a process of its own, so that its cost can be told from ours.
func (s *stage) startBroker(ctx context.Context) error {
	address := make(chan string, 1)
	broker, err := process.Start(process.Command{
		Path: s.options.Binary, Args: []string{"bench-broker", "--dir", filepath.Join(s.dir, "broker")}, Dir: s.dir,
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
	s.later(func() error { return broker.Stop(context.Background(), stopTime, syscall.SIGTERM) })
	select {
	case found := <-address:
		s.brokers, s.brokerPid = []string{found}, broker.Pid()
		return nil
	case <-broker.Done():
		return broker.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// localBroker returns the process of a broker that is alone and runs on this machine, else 0.
func localBroker(brokers []string) int {
	host, text, err := net.SplitHostPort(brokers[0])
	if err != nil || len(brokers) > 1 {
		return 0
	}
	if !port.Loopback(host) {
		return 0
	}
	number, _ := strconv.Atoi(text)
	return listenerOf(number)
}

// BrokerGreeting begins the line with which the broker's process tells its address.
const BrokerGreeting = "broker listens on "

// retainBytes holds the longest topic of a full run while it is drained.
const retainBytes = 4 << 30

// ServeBroker runs the embedded broker until the context ends. It is what the process does that startBroker starts.
func ServeBroker(ctx context.Context, dir string, greet func(string)) error {
	broker, err := broker.Start(ctx, broker.Options{Dir: dir, RetainBytes: retainBytes})
	if err != nil {
		return err
	}
	greet(BrokerGreeting + broker.Address())
	<-ctx.Done()
	return broker.Stop(context.WithoutCancel(ctx))
}

// startDatabase runs a private PostgreSQL with the settings that it comes with.
func (s *stage) startDatabase(ctx context.Context) error {
	server, err := pgserver.Start(ctx, pgserver.Options{
		Dir: filepath.Join(s.dir, "postgres"), Database: "heartbeat_db", User: "heartbeat_user", Password: rand.Text(),
	})
	if err != nil {
		return err
	}
	s.later(func() error { return server.Stop(context.Background()) })
	s.server = postgres.Options{URL: server.URL()}
	return nil
}

// inspect opens the way to the server and finds out what it is.
func (s *stage) inspect(ctx context.Context) error {
	s.server.Role, s.server.MaxConns = "bench", 1
	pool, err := postgres.Open(ctx, s.server)
	if err != nil {
		return err
	}
	s.later(func() error { pool.Close(); return nil })
	if err := postgres.Ping(ctx, pool); err != nil {
		return err
	}
	s.admin = postgres.NewYardstick(pool)
	if s.facts, err = s.admin.Server(ctx); err != nil {
		return err
	}
	if s.facts.Local {
		s.postmaster = postmasterOf(s.facts.Backend)
	}
	return nil
}

// database is one of the run's own, with the schema.
type database struct {
	stage     *stage
	name      string
	url       string
	yardstick *postgres.Yardstick
	dashboard *postgres.Dashboard
	tables    *postgres.Tables
	close     func()
}

// database creates a database with the current schema and partitions.
func (s *stage) database(ctx context.Context) (*database, error) { return s.partitioned(ctx, 0) }

// partitioned creates a database whose partitions are so wide.
func (s *stage) partitioned(ctx context.Context, width time.Duration) (*database, error) {
	s.databases++
	d := &database{stage: s, name: fmt.Sprintf("heartbeat_%s_%d", s.prefix, s.databases)}
	options, err := s.server.WithDatabase(d.name)
	if err != nil {
		return nil, err
	}
	if err := s.admin.CreateDatabase(ctx, d.name); err != nil {
		return nil, err
	}
	options.MaxConns = sessions
	pool, err := postgres.Open(ctx, options)
	if err != nil {
		return nil, errors.Join(err, d.drop())
	}
	d.url, d.close = options.URL, pool.Close
	d.yardstick, d.dashboard = postgres.NewYardstick(pool), postgres.NewDashboard(pool)
	if _, err := postgres.Migrate(ctx, pool); err != nil {
		return nil, errors.Join(err, d.drop())
	}
	d.tables = postgres.NewTables(pool, 0)
	d.tables.Width = width
	if err := d.tables.Maintain(ctx); err != nil {
		return nil, errors.Join(err, d.drop())
	}
	return d, nil
}

// drop gives the disk back, also when the run was interrupted.
func (d *database) drop() error {
	if d.close != nil {
		d.close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	return d.stage.admin.DropDatabase(ctx, d.name)
}

// stored is how many offsets of the topic are stored, in each partition and in all.
func (d *database) stored(ctx context.Context, topic *topic) (next []int64, total int64, err error) {
	next = make([]int64, topic.partitions)
	if _, err := d.yardstick.NextOffsets(ctx, topic.id, next); err != nil {
		return nil, 0, err
	}
	for _, offset := range next {
		total += offset
	}
	return next, total, nil
}

// consume starts the consumer, as a user would, on the topic and the database.
func (d *database) consume(topic *topic, options ...string) (*process.Process, error) {
	environment := append(os.Environ(),
		"KAFKA_BOOTSTRAP_SERVERS="+strings.Join(d.stage.brokers, ","), "KAFKA_TOPIC="+topic.name,
		"KAFKA_GROUP_ID="+d.name+"-"+topic.name, "DATABASE_URL="+d.url)
	return process.Start(process.Command{
		Path: d.stage.options.Binary, Args: append([]string{"consume", "--metrics-address", "none"}, options...), Env: environment, Dir: d.stage.dir,
		DeathSignal: syscall.SIGTERM,
	})
}

func (s *stage) kafka(topic string) kafka.Config {
	return kafka.Config{Brokers: s.brokers, Topic: topic, Logger: s.options.Logger}
}

// topic is one of the run's own.
type topic struct {
	name       string
	id         [16]byte
	partitions int
	content    postgres.Content // what a database must hold once all of it is stored
	began      time.Time        // date of the first event, where each of the others is dated so much after the one before
	every      time.Duration

	readings [][]pipeline.Reading // by partition; nil unless they were to be kept
}

// offsets is how many the topic holds.
func (t *topic) offsets() int64 { return t.content.Records + t.content.Anomalies }
