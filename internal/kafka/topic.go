package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// The shape of the topic that EnsureTopic creates.
const (
	topicPartitions  = 3
	topicRetentionMS = "86400000" // a day
	topicCleanup     = "delete"

	clusterDefault = -1 // leaves the replication factor to the brokers' default.replication.factor
)

// TopicState is what the cluster holds of the topic at one moment.
type TopicState struct {
	Name       string
	ID         [16]byte // zero where the brokers are too old to have one
	Partitions []PartitionState
}

// PartitionState is the range of offsets that one partition retains: [Start, End).
type PartitionState struct {
	Number int32
	Start  int64
	End    int64
}

// Records is how many offsets the topic retains.
func (s TopicState) Records() int64 {
	var n int64
	for _, partition := range s.Partitions {
		n += partition.End - partition.Start
	}
	return n
}

// EnsureTopic creates the topic if it is missing. One that exists is taken as it is, with a warning where its
// partition count is not the usual one: how a topic is cut is its owner's decision.
func (c *Client) EnsureTopic(ctx context.Context) error {
	topic := c.config.Topic
	partitions, err := c.countPartitions(ctx)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return c.createTopic(ctx)
	}
	if err != nil {
		return fmt.Errorf("look up topic %s: %w", topic, withAdvice(err))
	}
	if partitions != topicPartitions {
		c.log.Warn("topic has another number of partitions than usual; it bounds how many consumers can share the work",
			"topic", topic, "partitions", partitions, "usual", topicPartitions)
	}
	return nil
}

func (c *Client) countPartitions(ctx context.Context) (int, error) {
	topics, err := c.admin.ListTopics(ctx, c.config.Topic)
	if err != nil {
		return 0, err
	}
	detail := topics[c.config.Topic]
	return len(detail.Partitions), detail.Err
}

func (c *Client) createTopic(ctx context.Context) error {
	topic := c.config.Topic
	configs := map[string]*string{
		"retention.ms":   kadm.StringPtr(topicRetentionMS),
		"cleanup.policy": kadm.StringPtr(topicCleanup),
	}
	_, err := c.admin.CreateTopic(ctx, topicPartitions, clusterDefault, configs, topic)
	switch {
	case errors.Is(err, kerr.TopicAlreadyExists): // somebody who started with us was faster
		return nil
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fmt.Errorf("create topic %s: %w; ask an administrator to create it with %d partitions, retention.ms=%s, cleanup.policy=%s",
			topic, err, topicPartitions, topicRetentionMS, topicCleanup)
	case err != nil:
		return fmt.Errorf("create topic %s: %w", topic, err)
	}
	c.log.Info("topic created", "topic", topic, "partitions", topicPartitions)
	return nil
}

// TopicState asks the cluster for the topic's identity and offsets. End is the high-water mark: what consumers can see.
func (c *Client) TopicState(ctx context.Context) (TopicState, error) {
	state, err := c.topicState(ctx)
	if err != nil {
		return TopicState{}, fmt.Errorf("describe topic %s: %w", c.config.Topic, err)
	}
	return state, nil
}

func (c *Client) topicState(ctx context.Context) (TopicState, error) {
	topic := c.config.Topic
	topics, err := c.admin.ListTopics(ctx, topic)
	if err != nil {
		return TopicState{}, err
	}
	detail := topics[topic]
	if detail.Err != nil {
		return TopicState{}, detail.Err
	}
	starts, err := c.admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return TopicState{}, err
	}
	ends, err := c.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return TopicState{}, err
	}
	if err := errors.Join(starts.Error(), ends.Error()); err != nil {
		return TopicState{}, err
	}
	state := TopicState{Name: topic, ID: detail.ID}
	for _, partition := range detail.Partitions.Numbers() {
		state.Partitions = append(state.Partitions, PartitionState{
			Number: partition,
			Start:  starts[topic][partition].Offset,
			End:    ends[topic][partition].Offset,
		})
	}
	return state, nil
}
