package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The shape of the topic that EnsureTopic creates.
const (
	topicPartitions  = 3
	topicRetentionMS = "86400000" // a day
	topicCleanup     = "delete"

	clusterDefault = -1 // leaves the replication factor to the brokers' default.replication.factor
)

// TopicState is the topic's identity and offsets at one moment.
type TopicState struct {
	Name       string
	ID         [16]byte // zero where the brokers are too old to have one
	Partitions []PartitionState
}

// PartitionState is the range of offsets that a partition retains: [Start, End).
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

// EnsureTopic creates the topic if it is missing. An existing topic is not changed: its partitions are its owner's decision.
// An unusual number of them is logged.
func (c *Client) EnsureTopic(ctx context.Context) error {
	topic := c.config.Topic
	partitions, err := c.countPartitions(ctx)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return c.createTopic(ctx)
	}
	if err != nil {
		return fmt.Errorf("look up topic %s: %w", topic, Advise(err))
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
	case errors.Is(err, kerr.TopicAlreadyExists): // another process created it at the same moment
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

// Scan calls visit with the offset of each record in [from, to) of the partition that carries an event: transaction
// markers and records of aborted transactions do not. The range must be retained and below the high-water mark.
func (c *Client) Scan(ctx context.Context, partition int32, from, to int64, visit func(offset int64)) error {
	client, err := c.config.Open("",
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.config.Topic: {partition: kgo.NewOffset().At(from)}}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // so that a range that ends with a marker ends
	)
	if err != nil {
		return err
	}
	defer client.Close()
	for at := from; at < to; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read partition %d of topic %s from offset %d: %w", partition, c.config.Topic, at, err)
		}
		for record := range fetches.RecordsAll() {
			if record.Offset < to && !record.Attrs.IsControl() {
				visit(record.Offset)
			}
			at = record.Offset + 1
		}
	}
	return nil
}

// TopicConfig returns the topic's settings by name, such as retention.ms.
func (c *Client) TopicConfig(ctx context.Context) (map[string]string, error) {
	resources, err := c.admin.DescribeTopicConfigs(ctx, c.config.Topic)
	if err != nil {
		return nil, fmt.Errorf("describe settings of topic %s: %w", c.config.Topic, err)
	}
	settings := map[string]string{}
	for _, resource := range resources {
		if resource.Err != nil {
			return nil, fmt.Errorf("describe settings of topic %s: %w", c.config.Topic, resource.Err)
		}
		for _, setting := range resource.Configs {
			settings[setting.Key] = setting.MaybeValue()
		}
	}
	return settings, nil
}

// TopicMissing reports whether an error says that the topic does not exist.
func TopicMissing(err error) bool { return errors.Is(err, kerr.UnknownTopicOrPartition) }
