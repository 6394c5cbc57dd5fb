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

// rig is what one test works on: a topic, a migrated database, and the processes between them.
type rig struct {
	t        testing.TB
	broker   string // address
	topic    string
	group    string
	database string // address
	pool     *pgxpool.Pool
	ledgers  []string
	via      string // the database's address by way of a proxy, for consumers; empty: there is none
	tally    tally
}

// newRig gives the test a topic and a database of its own on the shared servers.
func newRig(t testing.TB) *rig {
	t.Helper()
	return rigOn(t, sharedBroker(t).address(), sharedDatabase(t))
}

// rigOn is newRig on given servers.
func rigOn(t testing.TB, broker string, server *postgresServer) *rig {
	t.Helper()
	r := &rig{t: t, broker: broker, database: server.create(t)}
	r.setUp()
	return r
}

// setUp creates the topic and migrates the database.
func (r *rig) setUp() {
	r.t.Helper()
	r.topic = fmt.Sprintf("heartbeat-events-%d", shared.names.Add(1))
	r.group = r.topic + "-group"
	createTopic(r.t, r.broker, r.topic, 3)
	r.run("migrate")
	r.pool = connect(r.t, r.database)
}

// run runs the product to a good end.
func (r *rig) run(arguments ...string) string {
	r.t.Helper()
	role := start(r.t, command{arguments: arguments, environment: []string{"DATABASE_URL=" + r.database}})
	role.succeed(patience)
	return role.lines.String()
}

// consume starts a consumer.
func (r *rig) consume(more ...string) *role {
	r.t.Helper()
	return r.consumeBy(cmp.Or(r.via, r.database), more...)
}

func (r *rig) consumeBy(database string, more ...string) *role {
	r.t.Helper()
	return start(r.t, command{arguments: r.consumeArguments(more...), environment: []string{"DATABASE_URL=" + database}})
}

func (r *rig) consumeArguments(more ...string) []string {
	return append([]string{
		"consume", "--brokers", r.broker, "--topic", r.topic, "--group", r.group,
		"--session-timeout", "6s", "--metrics-address", "",
	}, more...)
}

// throughProxy puts a proxy between the consumers and the database.
func (r *rig) throughProxy() *proxy {
	r.t.Helper()
	address, err := url.Parse(r.database)
	if err != nil {
		r.t.Fatal(err)
	}
	p := startProxy(r.t, address.Host)
	r.via = p.through(r.database)
	return p
}

// drain consumes until everything is stored that the topic holds.
func (r *rig) drain(more ...string) {
	r.t.Helper()
	began := time.Now()
	r.consume(append([]string{"--until-caught-up"}, more...)...).succeed(longPatience)
	r.tally.caughtUp = time.Since(began)
}

// produce starts a producer of one worker with a ledger.
func (r *rig) produce(more ...string) *role {
	r.t.Helper()
	ledger := filepath.Join(r.t.TempDir(), "ledger")
	r.ledgers = append(r.ledgers, ledger)
	return start(r.t, command{arguments: append([]string{
		"produce", "--brokers", r.broker, "--topic", r.topic, "--ledger", ledger, "--metrics-address", "none",
	}, more...)})
}

// send produces records as they are, each to its own partition, and waits for the broker's word.
func (r *rig) send(records []*kgo.Record, options ...kgo.Opt) {
	r.t.Helper()
	options = append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(4 << 20), kgo.MaxBufferedRecords(1 << 20)}, options...)
	for _, record := range records {
		record.Topic = r.topic
	}
	if err := client(r.t, r.broker, options...).ProduceSync(r.t.Context(), records...).FirstErr(); err != nil {
		r.t.Fatalf("produce to %s: %v", r.topic, err)
	}
}

// caughtUp waits until everything is stored that the topic holds now.
func (r *rig) caughtUp(within time.Duration) {
	r.t.Helper()
	began := time.Now()
	defer func() { r.tally.caughtUp = time.Since(began) }()
	ends := topicBounds(r.t, r.broker, r.topic)
	await(r.t, within, func() string {
		for partition, b := range ends {
			var next int64
			_ = r.pool.QueryRow(r.t.Context(), `SELECT max(next_offset) FROM ingest_progress WHERE topic_name = $1 AND partition = $2`,
				r.topic, partition).Scan(&next) // an outage is what some tests wait through
			if b.end > b.start && next < b.end {
				return fmt.Sprintf("partition %d is stored up to %d of %d", partition, next, b.end)
			}
		}
		return ""
	})
}

// stored returns how many offsets are stored.
func (r *rig) stored() int64 {
	r.t.Helper()
	return value[int64](r.t, r.pool, `SELECT coalesce(sum(next_offset - first_offset), 0)::bigint FROM ingest_progress`)
}

// storedMore waits until so many more offsets are stored than now.
func (r *rig) storedMore(count int64) {
	r.t.Helper()
	from := r.stored()
	await(r.t, patience, func() string {
		if have := r.stored(); have < from+count {
			return fmt.Sprintf("%d more offsets stored, want %d", have-from, count)
		}
		return ""
	})
}

// audit compares ledgers, topic and tables, and returns what the topic holds.
func (r *rig) audit() contents {
	r.t.Helper()
	read := readTopic(r.t, r.broker, r.topic, r.topic, 0)
	for _, ledger := range r.ledgers {
		auditLedger(r.t, readLedger(r.t, ledger), read, r.topic)
	}
	r.auditAgainst(read)
	return read
}

// auditAgainst compares the tables with what the topic is known to have held.
func (r *rig) auditAgainst(read contents) {
	r.t.Helper()
	r.tally.lost, r.tally.doubled = auditTables(r.t, read, readTables(r.t, r.pool))
	r.tally.events = len(read.facts)
	auditProgress(r.t, r.pool, read, r.topic)
	auditOrder(r.t, r.pool)
	auditContract(r.t, r.pool)
	r.verify()
}

// verify wants the product's own audit to agree.
func (r *rig) verify() {
	r.t.Helper()
	output := r.run("verify", "--json", "--brokers", r.broker, "--topic", r.topic)
	var report struct{ OK bool }
	if start := strings.Index(output, "{\n"); start < 0 || json.NewDecoder(strings.NewReader(output[start:])).Decode(&report) != nil || !report.OK {
		r.t.Errorf("heartbeat verify --json does not say ok:\n%s", output)
	}
}
