package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"heartbeat/internal/pipeline"
)

// ConsumerConfig sets up a Consumer.
type ConsumerConfig struct {
	Config
	Group      string
	InstanceID string // static membership: a restart within the session timeout keeps its partitions; empty: off
	// SessionTimeout is how long the group waits for a silent member; 0: 45 s, Kafka's default.
	SessionTimeout time.Duration
	// Background leaves the processor and the database to others: short transactions, one at a time, and a rest behind each.
	Background bool
	// NewWorker makes the worker of a partition that was assigned to us.
	NewWorker func(pipeline.Partition, pipeline.Log) *pipeline.Worker
	// Released is called when a partition is no longer ours.
	Released func(pipeline.Partition)
}

// Consumer is a member of the consumer group: it gives each assigned partition a worker and feeds it.
//
// The group decides who works on what, the database decides who may write and where to go on. Kafka's committed
// offsets are hints for lag tools.
type Consumer struct {
	config ConsumerConfig
	logger *slog.Logger
}

// NewConsumer returns a consumer that does nothing before Run.
func NewConsumer(config ConsumerConfig) *Consumer {
	config.Config = config.withDefaults()
	if config.SessionTimeout == 0 {
		config.SessionTimeout = 45 * time.Second
	}
	return &Consumer{config: config, logger: config.Logger.With("component", "consumer")}
}

// Run consumes until the context ends, then waits for the batches in hand and leaves the group. It fails when no
// broker can be reached to begin with. Whatever makes the broker's log differ from what was read (a replaced topic, a
// truncated log, retention) ends a session; the next one claims its partitions anew and so comes to terms with it.
func (c *Consumer) Run(ctx context.Context) error {
	client, err := Connect(ctx, c.config.Config)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.EnsureTopic(ctx); err != nil {
		return err
	}
	for {
		err := c.session(ctx, client)
		if ctx.Err() != nil {
			return nil
		}
		c.logger.Warn("consumer session ended, starting another", "error", err)
		if sleep(ctx, sessionInterval) != nil {
			return nil
		}
	}
}

// sessionInterval lies between two sessions, and between two looks at whether a missing topic is there.
const sessionInterval = time.Second

func (c *Consumer) session(ctx context.Context, client *Client) error {
	id, err := topicID(ctx, client.admin, c.config.Topic)
	if err != nil {
		return err
	}
	s := newSession(c.config, id, brokerLog{client.admin}, c.logger)
	if err := s.open(); err != nil {
		return fmt.Errorf("open consumer client: %w", err)
	}
	defer s.close()
	return s.poll(ctx)
}

// errSessionOver is the reason of a session that a fenced worker has ended.
var errSessionOver = errors.New("partitions must be claimed anew")

// sleep waits for the duration, or returns why ctx ended.
func sleep(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
