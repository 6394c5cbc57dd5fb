package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"heartbeat/internal/backoff"
	"heartbeat/internal/kafka"
	"heartbeat/internal/pipeline"
)

// Config sets up a Consumer.
type Config struct {
	Group      string
	InstanceID string // static membership: a restart within the session timeout keeps its partitions; empty: off
	// InstanceIDChosen says that the user did not ask for the InstanceID: when another consumer uses it, this one goes on
	// without. An InstanceID that the user gave is kept, with an error in the log.
	InstanceIDChosen bool
	// SessionTimeout is how long the group waits for a silent member; 0: 6 s.
	SessionTimeout time.Duration
	// Background leaves the processor and the database to others: short transactions, one at a time, each followed by a pause.
	Background bool
	// Watch lets the workers know each second where their partitions end: without it they decide no silence.
	Watch bool
	// NewWorker returns the worker of a partition that was assigned to this consumer.
	NewWorker func(pipeline.Partition) *pipeline.Worker
	// Released is called when a partition is no longer this consumer's.
	Released func(pipeline.Partition)
	// FetchFailed is called when the broker refuses the records of a partition for a cause that does not pass by itself. Nil is nothing.
	FetchFailed func(partition int32, cause error)
}

// Consumer is a member of the consumer group: it gives each assigned partition a worker and feeds it.
//
// The group decides who works on what, the database decides who may write and where to go on. The offsets committed to
// Kafka serve lag tools only.
type Consumer struct {
	client *kafka.Client
	config Config
	log    *slog.Logger
}

const (
	// defaultSessionTimeout bounds how long the partitions of a killed member wait for another one. It is the shortest that
	// brokers allow by default (group.min.session.timeout.ms).
	defaultSessionTimeout = 6 * time.Second
	// heartbeatInterval is also how soon a member learns of a rebalance. Twelve heartbeats fit into the session timeout, so a
	// busy machine does not lose the membership.
	heartbeatInterval = 500 * time.Millisecond
	// rebalanceTimeout is how long a rebalance waits for a member that lives and does not rejoin. A member that must finish its
	// batches first needs releaseGrace.
	rebalanceTimeout = 3 * releaseGrace
)

// New returns a consumer that does nothing before Run. It uses the client's settings, topic and connection; the
// client must outlive it and the topic must exist.
func New(client *kafka.Client, config Config) (*Consumer, error) {
	if config.Group == "" {
		return nil, errors.New("KAFKA_GROUP_ID is empty: want the name of a consumer group")
	}
	if config.SessionTimeout == 0 {
		config.SessionTimeout = defaultSessionTimeout
	}
	return &Consumer{client: client, config: config, log: client.Config().Logger.With("component", "consumer")}, nil
}

// Run consumes until the context ends, then waits for the batches in progress and leaves the group. Whatever makes the
// broker's log differ from what was read (a replaced topic, a truncated log, retention) ends a session; the next session
// claims its partitions again, and the claim reconciles the difference.
func (c *Consumer) Run(ctx context.Context) error {
	for {
		err := c.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		c.handleSessionError(err)
		if backoff.Sleep(ctx, sessionInterval) != nil {
			return nil
		}
	}
}

// sessionInterval is the pause between two sessions, and so between two checks whether a missing topic exists.
const sessionInterval = time.Second

// handleSessionError logs why a session has ended. An instance id that another consumer uses would take the membership from
// that consumer again, and so on in turn.
func (c *Consumer) handleSessionError(err error) {
	fenced := errors.Is(err, kerr.FencedInstanceID)
	switch {
	case fenced && c.config.InstanceIDChosen:
		c.log.Warn("another consumer has this instance id, going on without one", "instance_id", c.config.InstanceID)
		c.config.InstanceID, c.config.InstanceIDChosen = "", false
	case fenced:
		c.log.Error("another consumer has this instance id: start each consumer with its own --instance-id", "instance_id", c.config.InstanceID)
	default:
		c.log.Warn("consumer session ended, starting another", "error", err)
	}
}

func (c *Consumer) session(ctx context.Context) error {
	id, err := topicID(ctx, c.client.Admin(), c.client.Config().Topic)
	if err != nil {
		return err
	}
	s := newSession(c, id)
	if err := s.open(); err != nil {
		return fmt.Errorf("open consumer client: %w", err)
	}
	defer func() { s.close(ctx.Err() != nil) }()
	return s.poll(ctx)
}
