package e2e_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
)

// fixture is what one test uses: a topic, a migrated database, and the processes between them.
type fixture struct {
	t                testing.TB
	broker           string // address
	topic            string
	group            string
	database         string // address
	schema           string // of the tables; empty: public
	pool             *pgxpool.Pool
	ackLogs          []string
	consumerDatabase string // the database's address for consumers, through a proxy; empty: no proxy
	result           scenarioResult
}

// newFixture creates a topic and a database for the test on the shared servers.
func newFixture(t testing.TB) *fixture {
	t.Helper()
	return newFixtureOn(t, sharedBroker(t).address(), sharedDatabase(t))
}

// newFixtureOn is newFixture on given servers.
func newFixtureOn(t testing.TB, broker string, server *postgresServer) *fixture {
	t.Helper()
	f := &fixture{t: t, broker: broker, database: server.create(t)}
	f.setUp()
	return f
}

// setUp creates the topic and migrates the database.
func (f *fixture) setUp() {
	f.t.Helper()
	f.topic = fmt.Sprintf("heartbeat-events-%d", shared.names.Add(1))
	f.group = f.topic + "-group"
	createTopic(f.t, f.broker, f.topic, 3)
	f.run("migrate")
	address := f.database
	if f.schema != "" {
		address += "&search_path=" + f.schema
	}
	f.pool = connect(f.t, address)
}

// environment makes the product use a database and the fixture's schema.
func (f *fixture) environment(database string) []string {
	return []string{"DATABASE_URL=" + database, "POSTGRES_SCHEMA=" + f.schema}
}

// run runs the product and requires exit code 0.
func (f *fixture) run(arguments ...string) string {
	f.t.Helper()
	role := start(f.t, command{arguments: arguments, environment: f.environment(f.database)})
	role.succeed(waitTimeout)
	return role.output.String()
}

// consume starts a consumer.
func (f *fixture) consume(more ...string) *role {
	f.t.Helper()
	return f.consumeBy(cmp.Or(f.consumerDatabase, f.database), more...)
}

func (f *fixture) consumeBy(database string, more ...string) *role {
	f.t.Helper()
	return start(f.t, command{arguments: f.consumeArguments(more...), environment: f.environment(database)})
}

// consumeIn starts a consumer with a home directory, which holds its instance id.
func (f *fixture) consumeIn(home string) *role {
	f.t.Helper()
	return start(f.t, command{arguments: f.consumeArguments(), environment: f.environment(f.database), home: home})
}

func (f *fixture) consumeArguments(more ...string) []string {
	return append([]string{
		"consume", "--brokers", f.broker, "--topic", f.topic, "--group", f.group,
		"--session-timeout", "6s", "--metrics-address", "",
	}, more...)
}

// useProxy puts a proxy between the consumers and the database.
func (f *fixture) useProxy() *proxy {
	f.t.Helper()
	address, err := url.Parse(f.database)
	if err != nil {
		f.t.Fatal(err)
	}
	p := startProxy(f.t, address.Host)
	f.consumerDatabase = p.urlThrough(f.database)
	return p
}

// drain consumes until everything in the topic is stored.
func (f *fixture) drain(more ...string) {
	f.t.Helper()
	began := time.Now()
	f.consume(append([]string{"--until-caught-up"}, more...)...).succeed(longWaitTimeout)
	f.result.CaughtUp = time.Since(began)
}

// produce starts a producer of one worker that logs acknowledgements.
func (f *fixture) produce(more ...string) *role {
	f.t.Helper()
	ackLog := filepath.Join(f.t.TempDir(), "acknowledged")
	f.ackLogs = append(f.ackLogs, ackLog)
	return start(f.t, command{arguments: append([]string{
		"produce", "--brokers", f.broker, "--topic", f.topic, "--ack-log", ackLog, "--metrics-address", "none",
	}, more...)})
}

// send produces records unchanged, each to its own partition, and waits for the acknowledgements.
func (f *fixture) send(records []*kgo.Record, options ...kgo.Opt) {
	f.t.Helper()
	options = append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(4 << 20), kgo.MaxBufferedRecords(1 << 20)}, options...)
	for _, record := range records {
		record.Topic = f.topic
	}
	if err := client(f.t, f.broker, options...).ProduceSync(f.t.Context(), records...).FirstErr(); err != nil {
		f.t.Fatalf("produce to %s: %v", f.topic, err)
	}
}

// caughtUp waits until everything now in the topic is stored.
func (f *fixture) caughtUp(within time.Duration) {
	f.t.Helper()
	began := time.Now()
	defer func() { f.result.CaughtUp = time.Since(began) }()
	ends := topicBounds(f.t, f.broker, f.topic)
	await(f.t, within, func() string {
		for partition, b := range ends {
			var next int64
			_ = f.pool.QueryRow(f.t.Context(), `SELECT max(next_offset) FROM ingest_progress WHERE topic_name = $1 AND partition = $2`,
				f.topic, partition).Scan(&next) // some tests wait through an outage
			if b.end > b.start && next < b.end {
				return fmt.Sprintf("partition %d is stored up to %d of %d", partition, next, b.end)
			}
		}
		return ""
	})
}

// stored returns how many offsets are stored.
func (f *fixture) stored() int64 {
	f.t.Helper()
	return value[int64](f.t, f.pool, `SELECT coalesce(sum(next_offset - first_offset), 0)::bigint FROM ingest_progress`)
}

// storedMore waits until so many more offsets are stored than now.
func (f *fixture) storedMore(count int64) {
	f.t.Helper()
	from := f.stored()
	await(f.t, waitTimeout, func() string {
		if have := f.stored(); have < from+count {
			return fmt.Sprintf("%d more offsets stored, want %d", have-from, count)
		}
		return ""
	})
}

// audit compares acknowledgement logs, topic and tables, and returns the topic's records.
func (f *fixture) audit() topicContents {
	f.t.Helper()
	read := readTopic(f.t, f.broker, f.topic, f.topic, 0)
	for _, ackLog := range f.ackLogs {
		auditAckLog(f.t, readAckLog(f.t, ackLog), read, f.topic)
	}
	f.auditAgainst(read)
	return read
}

// auditAgainst compares the tables with the given records of the topic.
func (f *fixture) auditAgainst(read topicContents) {
	f.t.Helper()
	f.result.Lost, f.result.Doubled = auditTables(f.t, read, readTables(f.t, f.pool))
	f.result.Events = len(read.records)
	auditProgress(f.t, f.pool, read, f.topic)
	auditOrder(f.t, f.pool)
	auditContract(f.t, f.pool)
	f.result.Alarms = auditAlarms(f.t, f.pool, read.alarms)
	f.verify()
}

// verify runs the product's own audit, which must agree.
func (f *fixture) verify(options ...string) {
	f.t.Helper()
	output := f.run(append([]string{"verify", "--json", "--brokers", f.broker, "--topic", f.topic}, options...)...)
	var report struct{ OK bool }
	if start := strings.Index(output, "{\n"); start < 0 || json.NewDecoder(strings.NewReader(output[start:])).Decode(&report) != nil || !report.OK {
		f.t.Errorf("heartbeat verify --json %v does not say ok:\n%s", options, output)
	}
}
