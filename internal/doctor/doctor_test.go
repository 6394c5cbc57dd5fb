package doctor_test

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/app"
	"heartbeat/internal/doctor"
	"heartbeat/internal/kafka"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/progress"
	"heartbeat/internal/simulate"
	"heartbeat/internal/simulator"
	"heartbeat/internal/testkit/fakekafka"
	"heartbeat/internal/testkit/freeport"
)

const topic = "heartbeat-events"

// environment is the broker and the database that a test examines.
type environment struct {
	t        *testing.T
	kafka    kafka.Config
	database postgres.Options
}

func newEnvironment(t *testing.T, pool *pgxpool.Pool, options ...kfake.Opt) *environment {
	t.Helper()
	cluster := fakekafka.Start(t, options...)
	return &environment{
		t:        t,
		kafka:    kafka.Config{Brokers: cluster.ListenAddrs(), Topic: topic, Logger: slog.New(slog.DiscardHandler)},
		database: postgres.Options{URL: pgtest.URL(pool)},
	}
}

func (p *environment) produce(events int64) {
	p.t.Helper()
	err := simulator.Run(p.t.Context(), simulator.Options{
		Kafka: p.kafka, MaxEvents: events, Rate: 1e6, Fleet: simulate.Options{Customers: 10},
		Registry: prometheus.NewRegistry(), Logger: p.kafka.Logger,
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *environment) consume() {
	p.t.Helper()
	if err := p.consumer(p.t.Context(), true); err != nil {
		p.t.Fatal(err)
	}
}

func (p *environment) consumer(ctx context.Context, untilCaughtUp bool) error {
	return app.Consume(ctx, app.ConsumeOptions{
		Kafka: p.kafka, Group: "heartbeat-consumer-group", Database: p.database, UntilCaughtUp: untilCaughtUp,
		Registry: prometheus.NewRegistry(), Logger: p.kafka.Logger,
	})
}

// group describes the consumer group.
func (p *environment) group() *progress.Group {
	p.t.Helper()
	client, err := kafka.Connect(p.t.Context(), p.kafka)
	if err != nil {
		p.t.Fatal(err)
	}
	defer client.Close()
	return client.Group(p.t.Context(), "heartbeat-consumer-group")
}

func (p *environment) await(what string, condition func() bool) {
	p.t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(time.Minute); !condition(); <-ticker.C {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited a minute for %s", what)
		}
	}
}

// find wants a finding with a status whose text has all the parts.
func (p *environment) find(check, status string, parts ...string) {
	p.t.Helper()
	findings := doctor.Examine(p.t.Context(), doctor.Options{Kafka: p.kafka, Group: "heartbeat-consumer-group", Database: p.database})
	for _, finding := range findings {
		if finding.Check != check || finding.Status != status {
			continue
		}
		if status != doctor.OK && finding.Advice == "" && !strings.Contains(finding.Detail, ":") {
			p.t.Errorf("finding %+v says nothing about what to do", finding)
		}
		for _, part := range parts {
			if text := finding.Detail + " " + finding.Advice; !strings.Contains(text, part) {
				p.t.Errorf("finding %q lacks %q", text, part)
			}
		}
		return
	}
	p.t.Errorf("no finding %q with status %s among %+v", check, status, findings)
}

func TestDoctorFindsNothingWrongWithASystemThatWorks(t *testing.T) {
	t.Parallel()
	p := newEnvironment(t, pgtest.Database(t), kfake.SeedTopics(3, topic))
	p.produce(100)
	p.consume()
	for _, check := range []string{"broker encryption", "database encryption", "broker", "advertised addresses", "topic", "topic settings", "database", "clock", "schema", "data incidents", "dead letters"} {
		p.find(check, doctor.OK)
	}
	p.find("consumer", doctor.Warning, "no members", "nothing waits")
}

func TestDoctorNamesTheTrouble(t *testing.T) {
	t.Parallel()
	t.Run("nothing listens at the broker's address", func(t *testing.T) {
		t.Parallel()
		p := newEnvironment(t, pgtest.Database(t))
		p.kafka.Brokers = []string{freeport.Address(t)}
		p.find("broker port", doctor.Failure, p.kafka.Brokers[0], "KAFKA_BOOTSTRAP_SERVERS")
	})
	t.Run("blanks around the brokers' addresses", func(t *testing.T) {
		t.Parallel()
		p := newEnvironment(t, pgtest.Database(t), kfake.SeedTopics(3, topic))
		p.kafka.Brokers = []string{"\t" + p.kafka.Brokers[0] + " ", " " + p.kafka.Brokers[0]}
		p.find("broker encryption", doctor.OK)
		p.find("broker", doctor.OK, strings.TrimSpace(p.kafka.Brokers[1]))
	})
	t.Run("a list of brokers that cannot be read", func(t *testing.T) {
		t.Parallel()
		p := newEnvironment(t, pgtest.Database(t), kfake.SeedTopics(3, topic))
		p.kafka.Brokers = []string{" ", p.kafka.Brokers[0]}
		p.find("broker", doctor.Failure, "KAFKA_BOOTSTRAP_SERVERS", "address 1 is empty")
	})
	t.Run("another program has taken the broker's port", func(t *testing.T) {
		t.Parallel()
		stranger, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stranger.Close() })
		go func() {
			for {
				connection, err := stranger.Accept()
				if err != nil {
					return
				}
				connection.Close()
			}
		}()
		p := newEnvironment(t, pgtest.Database(t))
		p.kafka.Brokers = []string{stranger.Addr().String()}
		p.find("broker", doctor.Failure, stranger.Addr().String(), "taken the port", "lsof")
	})
	t.Run("the broker advertises an address that cannot be reached", func(t *testing.T) {
		t.Parallel()
		closed, open := freeport.Address(t), ""
		p := newEnvironment(t, pgtest.Database(t), kfake.SeedTopics(3, topic), kfake.ListenFn(func(network, address string) (net.Listener, error) {
			listener, err := net.Listen(network, address)
			if err != nil {
				return nil, err
			}
			open = listener.Addr().String()
			return misnamed{listener, closed}, nil
		}))
		p.kafka.Brokers = []string{open}
		p.find("advertised addresses", doctor.Failure, closed, "advertised.listeners")
	})
	t.Run("the topic is missing", func(t *testing.T) {
		t.Parallel()
		newEnvironment(t, pgtest.Database(t)).find("topic", doctor.Failure, topic, "KAFKA_TOPIC")
	})
	t.Run("the topic has other partitions", func(t *testing.T) {
		t.Parallel()
		newEnvironment(t, pgtest.Database(t), kfake.SeedTopics(7, topic)).find("topic", doctor.Warning, "7 partitions")
	})
	t.Run("no consumer", func(t *testing.T) {
		t.Parallel()
		p := newEnvironment(t, pgtest.Database(t), kfake.SeedTopics(3, topic))
		p.produce(50)
		p.find("consumer", doctor.Failure, "50 records wait", "no members", "heartbeat consume")
	})
	t.Run("somebody else's client has the group", func(t *testing.T) {
		t.Parallel()
		p := newEnvironment(t, pgtest.Database(t), kfake.SeedTopics(3, topic))
		p.produce(50)
		stranger, err := kgo.NewClient(kgo.SeedBrokers(p.kafka.Brokers...), kgo.ClientID("stranger"), kgo.ConsumerGroup("heartbeat-consumer-group"), kgo.ConsumeTopics(topic))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stranger.Close)
		if fetched := stranger.PollRecords(t.Context(), 1); fetched.Err() != nil {
			t.Fatal(fetched.Err())
		}
		p.find("consumer", doctor.Failure, "50 records wait", "stranger at", "KAFKA_GROUP_ID")
	})
	t.Run("a consumer of the group stores nothing here", func(t *testing.T) {
		t.Parallel()
		p := newEnvironment(t, pgtest.Database(t), kfake.SeedTopics(3, topic))
		p.produce(50)
		elsewhere := &environment{t: t, kafka: p.kafka, database: postgres.Options{URL: pgtest.URL(pgtest.Database(t))}}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- elsewhere.consumer(ctx, false) }()
		p.await("a member of the group", func() bool { return len(p.group().Members) > 0 && p.group().State == "Stable" })
		p.find("consumer", doctor.Failure, "50 records wait", "heartbeat at", "another database")
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("plain text leaves the machine", func(t *testing.T) {
		t.Parallel()
		// No TCP connection can be made to the broadcast address, so nothing is waited for.
		p := &environment{t: t, kafka: kafka.Config{Brokers: []string{"255.255.255.255:9092"}, Topic: topic}}
		p.find("broker encryption", doctor.Warning, "255.255.255.255", "KAFKA_SECURITY_PROTOCOL")
		p.database.URL = "postgres://heartbeat_user@255.255.255.255/heartbeat_db?sslmode=prefer"
		p.find("database encryption", doctor.Warning, "255.255.255.255", "verify-full")
		p.kafka.Security.Protocol = "SSL"
		p.find("broker encryption", doctor.OK, "TLS")
		p.database.SSLMode = "verify-full"
		p.find("database encryption", doctor.OK, "TLS")
	})
	t.Run("the password is wrong", func(t *testing.T) {
		t.Parallel()
		p := newEnvironment(t, pgtest.Database(t))
		address, err := url.Parse(p.database.URL)
		if err != nil {
			t.Fatal(err)
		}
		address.User = url.UserPassword(address.User.Username(), "wrong")
		p.database.URL = address.String()
		p.find("database", doctor.Failure, "POSTGRES_PASSWORD")
	})
	t.Run("nothing listens at the database's address", func(t *testing.T) {
		t.Parallel()
		p := newEnvironment(t, pgtest.Database(t))
		p.database.URL = "postgres://heartbeat_user@" + freeport.Address(t) + "/heartbeat_db"
		p.find("database", doctor.Failure, "POSTGRES_PORT")
	})
	t.Run("the schema is missing", func(t *testing.T) {
		t.Parallel()
		newEnvironment(t, pgtest.Empty(t)).find("schema", doctor.Failure, "heartbeat migrate")
	})
	t.Run("the schema is newer", func(t *testing.T) {
		t.Parallel()
		pool := pgtest.Database(t)
		pgtest.Exec(t, pool, `INSERT INTO schema_migrations (version, name, checksum) VALUES (99, 'tomorrow', repeat('0', 64))`)
		newEnvironment(t, pool).find("schema", doctor.Failure, "newer binary")
	})
	t.Run("dead letters wait", func(t *testing.T) {
		t.Parallel()
		pool := pgtest.Database(t)
		pgtest.Exec(t, pool, `INSERT INTO dead_letters (kafka_topic, kafka_partition, kafka_offset, reason, detail, raw_length, raw_sha256)
			VALUES ('heartbeat-events', 0, 0, 'not_json', 'no', 1, '\x00')`)
		newEnvironment(t, pool, kfake.SeedTopics(3, topic)).find("dead letters", doctor.Warning, "1 wait", "heartbeat deadletter list")
	})
}

// misnamed is a listener that gives itself another address.
type misnamed struct {
	net.Listener
	address string
}

func (m misnamed) Addr() net.Addr {
	addr, _ := net.ResolveTCPAddr("tcp", m.address)
	return addr
}
