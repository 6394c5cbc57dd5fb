// Package doctor examines what a role needs: encryption, broker, topic, database, schema, clock and consumer group. Each
// finding says what is wrong and what to do.
//
// It changes nothing and has no flags or output of its own. Examine may run while consumers run, and several may run at a time.
//
// It is not on the path of a reading.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"heartbeat/internal/backoff"
	"heartbeat/internal/kafka"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/postgres/schema"
	"heartbeat/internal/progress"
)

// Finding is the result of one check.
type Finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warning or failure
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty"` // what to do, when not ok
}

// The statuses of a finding.
const (
	OK      = "ok"
	Warning = "warning"
	Failure = "failure"
)

// Options say what to examine.
type Options struct {
	Kafka    kafka.Config
	Group    string
	Database postgres.Options
}

const (
	timeout      = 5 * time.Second // for each question
	clockSkew    = 2 * time.Second // more than this between us and the database is worth a warning
	observeAgain = 250 * time.Millisecond
)

// Examine returns its findings in a fixed order. After a failure it leaves out what depends on what failed.
func Examine(ctx context.Context, options Options) []Finding {
	d := &doctor{options: options}
	d.encryption(ctx)
	topic := d.broker(ctx)
	pool := d.database(ctx)
	if pool != nil {
		defer pool.Close()
	}
	if topic != nil && pool != nil {
		d.consumer(ctx, pool, topic)
	}
	if d.client != nil {
		d.client.Close()
	}
	return d.findings
}

type doctor struct {
	options  Options
	client   *kafka.Client
	findings []Finding
}

func (d *doctor) say(check, status, detail, advice string) {
	d.findings = append(d.findings, Finding{check, status, detail, advice})
}

// broker examines the cluster and returns the topic, if there is one.
func (d *doctor) broker(ctx context.Context) *progress.Topic {
	if err := d.options.Kafka.Check(); err != nil {
		d.say("broker", Failure, err.Error(), "")
		return nil
	}
	addresses := d.options.Kafka.Addresses()
	for _, broker := range addresses {
		if err := dial(ctx, broker); err != nil {
			d.say("broker port", Failure, fmt.Sprintf("nothing answers at %s: %v", broker, err),
				"start the broker (heartbeat up brings one) or set KAFKA_BOOTSTRAP_SERVERS to where it listens")
		}
	}
	config := d.options.Kafka
	config.Attempts = 1
	config.Logger = slog.New(slog.DiscardHandler)
	client, err := kafka.Connect(ctx, config)
	if err != nil {
		d.say("broker", Failure, err.Error(), "where something answers, another program may have taken the port (lsof -nP -iTCP -sTCP:LISTEN names it), or the broker wants TLS")
		return nil
	}
	d.client = client
	d.say("broker", OK, "answers at "+strings.Join(addresses, ","), "")
	d.advertised(ctx)
	return d.topic(ctx)
}

// advertised examines the addresses that clients are sent to after the first answer.
func (d *doctor) advertised(ctx context.Context) {
	addresses, err := d.client.Brokers(ctx)
	if err != nil {
		d.say("advertised addresses", Failure, err.Error(), "look at the broker's log")
		return
	}
	for _, address := range addresses {
		if err := dial(ctx, address); err != nil {
			d.say("advertised addresses", Failure, fmt.Sprintf("the broker sends clients to %s, which cannot be reached from here: %v", address, err),
				"set the broker's advertised.listeners to an address that this machine can reach")
			return
		}
	}
	d.say("advertised addresses", OK, strings.Join(addresses, ", "), "")
}

func (d *doctor) topic(ctx context.Context) *progress.Topic {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	topic, err := d.client.Topic(ctx)
	if err != nil {
		d.say("topic", Failure, err.Error(), "heartbeat produce and heartbeat consume create it; check KAFKA_TOPIC")
		return nil
	}
	detail := fmt.Sprintf("%s has %d partitions and %d records", topic.Name, len(topic.Partitions), topic.Records())
	if len(topic.Partitions) != kafka.TopicPartitions {
		d.say("topic", Warning, detail, fmt.Sprintf("usual are %d; more consumers than partitions stand idle, and adding partitions sends customers to other ones", kafka.TopicPartitions))
	} else {
		d.say("topic", OK, detail, "")
	}
	settings, err := d.client.TopicConfig(ctx)
	switch policy := settings["cleanup.policy"]; {
	case err != nil:
		d.say("topic settings", Warning, err.Error(), "allow DescribeConfigs on the topic to examine them")
	case policy != "delete":
		d.say("topic settings", Failure, "cleanup.policy is "+policy, "set it to delete: compaction throws readings away")
	default:
		d.say("topic settings", OK, fmt.Sprintf("cleanup.policy=%s retention.ms=%s", policy, settings["retention.ms"]), "")
	}
	return topic
}

// database examines the database and returns its pool when it can be used.
func (d *doctor) database(ctx context.Context) *postgres.Pool {
	d.options.Database.KeepReadOnly = true
	pool, err := postgres.Open(ctx, d.options.Database)
	if err != nil {
		d.say("database", Failure, err.Error(), "check the POSTGRES_ settings or DATABASE_URL")
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*timeout)
	defer cancel()
	if err := postgres.Ping(ctx, pool); err != nil {
		d.say("database", Failure, err.Error(), "")
		pool.Close()
		return nil
	}
	server, err := postgres.ReadServer(ctx, pool)
	if err != nil {
		d.say("database", Failure, err.Error(), "")
		pool.Close()
		return nil
	}
	d.version(server)
	d.clock(server)
	if err := schema.Check(ctx, pool); err != nil {
		advice := "look at the server's log"
		_, version := errors.AsType[*schema.Error](err)
		_, unsuitable := errors.AsType[*schema.UnsuitableError](err)
		switch {
		case version || unsuitable:
			advice = "" // the error says it
		case postgres.LacksRight(err):
			advice = postgres.RightAdvice
		}
		d.say("schema", Failure, strings.TrimPrefix(d.options.Database.Schema+": "+err.Error(), ": "), advice)
		pool.Close()
		return nil
	}
	d.say("schema", OK, strings.TrimSpace(d.options.Database.Schema+" is this binary's"), "")
	return pool
}

func (d *doctor) version(server postgres.ServerState) {
	if server.Version < postgres.MinVersion {
		d.say("database", Failure, fmt.Sprintf("PostgreSQL %d", server.Version), fmt.Sprintf("use PostgreSQL %d or later", postgres.MinVersion))
		return
	}
	d.say("database", OK, fmt.Sprintf("PostgreSQL %d, %d of %d connections in use", server.Version, server.Connections, server.MaxConnections), "")
}

func (d *doctor) clock(server postgres.ServerState) {
	if server.Skew.Abs() > clockSkew {
		d.say("clock", Warning, fmt.Sprintf("the database's clock is %s off this machine's", server.Skew.Round(time.Millisecond)),
			"let NTP set both: partitions follow the database's clock, event times the devices'")
		return
	}
	d.say("clock", OK, fmt.Sprintf("the database's is within %s of this machine's", clockSkew), "")
}

// consumer examines whether the group stores what the topic brings.
func (d *doctor) consumer(ctx context.Context, pool *postgres.Pool, topic *progress.Topic) {
	ctx, cancel := context.WithTimeout(ctx, 3*timeout+progress.StalledAfter)
	defer cancel()
	group := d.client.Group(ctx, d.options.Group)
	report, err := d.observe(ctx, pool, topic, group)
	if err != nil {
		d.say("progress", Failure, err.Error(), "")
		return
	}
	lag, _ := progress.Lag(report.Partitions)
	detail := fmt.Sprintf("group %s is %s with %d members, %d records behind", group.Name, strings.ToLower(group.State), len(group.Members), lag)
	report.Explain(group)
	if group.Err != nil {
		d.say("consumer group", Warning, group.Err.Error(), "allow Describe on the group to examine it")
	}
	switch broken := group.Broken(); {
	case broken != "" && lag > 0:
		d.say("consumer", Failure, fmt.Sprintf("%d records wait: %s", lag, broken), "start heartbeat consume, with the group's id in KAFKA_GROUP_ID")
	case broken != "":
		d.say("consumer", Warning, "nothing waits at the moment, but "+broken, "start heartbeat consume, with the group's id in KAFKA_GROUP_ID")
	case len(report.Stalled()) > 0:
		d.say("consumer", Failure, progress.Describe(report.Stalled()), "look at the consumer's log and its /readyz")
	default:
		d.say("consumer", OK, detail, "")
	}
	d.accounts(ctx, pool, report)
}

// observe looks until every partition in which records wait is seen to get on, or counts as stalled. Of a group that can
// store nothing one look is enough.
func (d *doctor) observe(ctx context.Context, pool *postgres.Pool, topic *progress.Topic, group *progress.Group) (report progress.Report, err error) {
	var tracker progress.Tracker
	for {
		rows, err := query.ListProgress(ctx, pool)
		if err != nil {
			return report, err
		}
		report = tracker.Observe(progress.Observation{At: time.Now(), Topic: topic, Rows: rows})
		waiting := slices.ContainsFunc(report.Partitions, func(p progress.Partition) bool { return p.Waiting })
		if !waiting || group.Broken() != "" || len(report.Stalled()) > 0 {
			return report, nil
		}
		if err := backoff.Sleep(ctx, observeAgain); err != nil {
			return report, fmt.Errorf("observe progress: %w", err)
		}
	}
}

// accounts examines what should not be there: dead letters that wait for a person, and losses.
func (d *doctor) accounts(ctx context.Context, pool *postgres.Pool, report progress.Report) {
	if report.Unaccounted != 0 {
		d.say("accounts", Failure, fmt.Sprintf("%d offsets are unaccounted for", report.Unaccounted), "run heartbeat verify")
	}
	totals, err := query.ReadTotals(ctx, pool)
	if err != nil {
		d.say("accounts", Warning, err.Error(), "")
		return
	}
	switch {
	case totals.Incidents > 0:
		d.say("data incidents", Warning, fmt.Sprintf("%d losses outside Heartbeat's power are recorded", totals.Incidents), "SELECT * FROM data_incidents")
	default:
		d.say("data incidents", OK, "none", "")
	}
	switch {
	case totals.DeadLetters > 0:
		d.say("dead letters", Warning, fmt.Sprintf("%d wait for a person", totals.DeadLetters), "heartbeat deadletter list")
	default:
		d.say("dead letters", OK, "none", "")
	}
	switch {
	case totals.CustomersHeard == 0: // no consumer with detection, or no reading
	case totals.CustomersWatched == 0:
		d.say("silence", Warning, fmt.Sprintf("off: none of %d customers was heard 20 times and more often than each 10 minutes", totals.CustomersHeard),
			"nothing, if devices report that seldom; a consumer learns the intervals again after an upgrade")
	default:
		d.say("silence", OK, fmt.Sprintf("%d of %d customers heard would be missed, %d are silent", totals.CustomersWatched, totals.CustomersHeard, totals.Silent), "")
	}
}

func dial(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return connection.Close()
}
