package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/progress"
)

// The shape of the topic that EnsureTopic creates.
const (
	TopicPartitions  = 3          // bounds how many consumers share the work
	topicRetentionMS = "86400000" // a day
	topicCleanup     = "delete"

	clusterDefault = -1 // leaves the replication factor to the brokers' default.replication.factor
)

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
	if partitions != TopicPartitions {
		c.log.Warn("topic has another number of partitions than usual; it bounds how many consumers can share the work",
			"topic", topic, "partitions", partitions, "usual", TopicPartitions)
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
	_, err := c.admin.CreateTopic(ctx, TopicPartitions, clusterDefault, configs, topic)
	switch {
	case errors.Is(err, kerr.TopicAlreadyExists): // another process created it at the same moment
		return nil
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fmt.Errorf("create topic %s: %w; ask an administrator to create it with %d partitions, retention.ms=%s, cleanup.policy=%s",
			topic, err, TopicPartitions, topicRetentionMS, topicCleanup)
	case err != nil:
		return fmt.Errorf("create topic %s: %w", topic, err)
	}
	c.log.Info("topic created", "topic", topic, "partitions", TopicPartitions)
	return nil
}

// Topic asks the cluster for the topic's identity and the offsets that its partitions retain. End is the high-water mark: what consumers can see.
func (c *Client) Topic(ctx context.Context) (*progress.Topic, error) {
	topic, err := c.describeTopic(ctx)
	if err != nil {
		return nil, fmt.Errorf("describe topic %s: %w", c.config.Topic, err)
	}
	return topic, nil
}

func (c *Client) describeTopic(ctx context.Context) (*progress.Topic, error) {
	name := c.config.Topic
	topics, err := c.admin.ListTopics(ctx, name)
	if err != nil {
		return nil, err
	}
	detail := topics[name]
	if detail.Err != nil {
		return nil, detail.Err
	}
	starts, err := c.admin.ListStartOffsets(ctx, name)
	if err != nil {
		return nil, err
	}
	ends, err := c.admin.ListEndOffsets(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(starts.Error(), ends.Error()); err != nil {
		return nil, err
	}
	topic := &progress.Topic{Name: name, ID: detail.ID, Partitions: map[int32]progress.Bounds{}}
	for number := range detail.Partitions {
		topic.Partitions[number] = progress.Bounds{Start: starts[name][number].Offset, End: ends[name][number].Offset}
	}
	return topic, nil
}

// WrittenTopic is Topic with the ends of what the leaders have written. Records beyond the high-water mark are not replicated yet:
// consumers see them later, or never if the leader dies.
func (c *Client) WrittenTopic(ctx context.Context) (*progress.Topic, error) {
	name := c.config.Topic
	topics, err := c.admin.ListTopics(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("describe topic %s: %w", name, err)
	}
	epochs := kadm.OffsetForLeaderEpochRequest{}
	for number, partition := range topics[name].Partitions {
		epochs.Add(name, number, partition.LeaderEpoch)
	}
	// For the epoch of the moment, a leader answers with the end of its log.
	written, err := c.admin.OffsetForLeaderEpoch(ctx, epochs)
	if err != nil {
		return nil, fmt.Errorf("ask the leaders of topic %s for the ends of their logs: %w", name, err)
	}
	topic, err := c.Topic(ctx)
	if err != nil {
		return nil, err
	}
	for number, bounds := range topic.Partitions {
		if end, ok := written[name][number]; ok && end.Err == nil {
			bounds.End = max(bounds.End, end.EndOffset)
			topic.Partitions[number] = bounds
		}
	}
	return topic, nil
}

// OffsetsAfter returns, for each partition, the offset of the first record with that Kafka timestamp or a later one, or the end.
func (c *Client) OffsetsAfter(ctx context.Context, at time.Time) (map[int32]int64, error) {
	listed, err := c.admin.ListOffsetsAfterMilli(ctx, at.UnixMilli(), c.config.Topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("find offsets of topic %s at %v: %w", c.config.Topic, at.UTC(), err)
	}
	offsets := map[int32]int64{}
	for number, found := range listed[c.config.Topic] {
		offsets[number] = found.Offset
	}
	return offsets, nil
}

// Scan calls visit with the offset of each record in [from, to) of the partition that carries an event: transaction
// markers and records of aborted transactions do not. The range must be retained and below the high-water mark.
func (c *Client) Scan(ctx context.Context, partition int32, from, to int64, visit func(offset int64)) error {
	return c.Records(ctx, partition, from, to, func(record *heartbeat.Record) { visit(record.Offset) })
}

// Records is Scan with whole records, which are valid during the call.
func (c *Client) Records(ctx context.Context, partition int32, from, to int64, visit func(*heartbeat.Record)) error {
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
		err := fetches.Err()
		if errors.Is(err, kerr.OffsetOutOfRange) {
			return fmt.Errorf("read partition %d of topic %s from offset %d: Kafka has deleted these records while they were read: try again, or with a later begin: %w", partition, c.config.Topic, at, err)
		}
		if err != nil {
			return fmt.Errorf("read partition %d of topic %s from offset %d: %w", partition, c.config.Topic, at, err)
		}
		for record := range fetches.RecordsAll() {
			if record.Offset < to && !record.Attrs.IsControl() {
				visit(&heartbeat.Record{
					Offset: record.Offset, LeaderEpoch: record.LeaderEpoch, Timestamp: RecordTime(record.Timestamp.UnixMilli()),
					Key: record.Key, Value: record.Value, ID: RecordID(record),
				})
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
