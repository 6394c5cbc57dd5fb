package consumer

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"heartbeat/internal/pipeline"
)

// errTopicReplaced says that the topic with the session's id no longer exists: it was deleted, and perhaps created again.
var errTopicReplaced = errors.New("topic was deleted or replaced by another one of its name")

// brokerLog reads what the brokers retain of a partition. Its errors say what to do about them, as pipeline.KindOf reads them.
type brokerLog struct {
	admin *kadm.Client
}

// bounds returns the first retained offset of the partition and the offset after the last.
func (l brokerLog) bounds(ctx context.Context, partition pipeline.Partition) (pipeline.LogBounds, error) {
	starts, err := l.admin.ListStartOffsets(ctx, partition.Topic)
	if err != nil {
		return pipeline.LogBounds{}, outage(fmt.Errorf("list start offsets: %w", err))
	}
	ends, err := l.admin.ListEndOffsets(ctx, partition.Topic)
	if err != nil {
		return pipeline.LogBounds{}, outage(fmt.Errorf("list end offsets: %w", err))
	}
	first, _ := starts.Lookup(partition.Topic, partition.Number)
	last, _ := ends.Lookup(partition.Topic, partition.Number)
	if err := errors.Join(first.Err, last.Err); err != nil {
		return pipeline.LogBounds{}, outage(fmt.Errorf("list offsets of partition %d: %w", partition.Number, err))
	}
	// Offsets are listed by topic name. Topic ids are never reused, so an unchanged id proves that they are this topic's.
	id, err := topicID(ctx, l.admin, partition.Topic)
	if err != nil {
		return pipeline.LogBounds{}, outage(err)
	}
	if id != partition.TopicID {
		return pipeline.LogBounds{}, &pipeline.Fault{Kind: pipeline.Fenced, Err: errTopicReplaced}
	}
	return pipeline.LogBounds{Start: first.Offset, End: last.Offset}, nil
}

// boundsOfEpoch is bounds, where the log ends no later than the records of a leader epoch and of those before it: a
// log that has diverged since ends there. Epoch -1 is unknown and bounds nothing.
func (l brokerLog) boundsOfEpoch(ctx context.Context, partition pipeline.Partition, epoch int32) (pipeline.LogBounds, error) {
	bounds, err := l.bounds(ctx, partition)
	if err != nil || epoch < 0 {
		return bounds, err
	}
	end, known, err := l.epochEnd(ctx, partition, epoch)
	if err != nil {
		return bounds, err
	}
	if known {
		bounds.End = min(bounds.End, end)
	}
	return bounds, nil
}

// epochEnd returns the offset at which the records of a leader epoch and of those before it end, if the broker knows the epoch.
func (l brokerLog) epochEnd(ctx context.Context, partition pipeline.Partition, epoch int32) (end int64, known bool, err error) {
	request := kadm.OffsetForLeaderEpochRequest{}
	request.Add(partition.Topic, partition.Number, epoch)
	responses, err := l.admin.OffsetForLeaderEpoch(ctx, request)
	if err != nil {
		return 0, false, outage(fmt.Errorf("read end of leader epoch: %w", err))
	}
	response, ok := responses[partition.Topic][partition.Number]
	if !ok {
		return 0, false, nil
	}
	if response.Err != nil {
		return 0, false, outage(fmt.Errorf("read end of leader epoch: %w", response.Err))
	}
	return response.EndOffset, response.EndOffset >= 0, nil
}

// topicID returns the id of the topic that has the name now.
func topicID(ctx context.Context, admin *kadm.Client, topic string) (kadm.TopicID, error) {
	details, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return kadm.TopicID{}, fmt.Errorf("look up topic %s: %w", topic, err)
	}
	detail, ok := details[topic]
	if !ok {
		return kadm.TopicID{}, fmt.Errorf("look up topic %s: %w", topic, kerr.UnknownTopicOrPartition)
	}
	if detail.Err != nil {
		return kadm.TopicID{}, fmt.Errorf("look up topic %s: %w", topic, detail.Err)
	}
	return detail.ID, nil
}

// outage marks an error of the broker as one to wait out.
func outage(err error) error {
	return &pipeline.Fault{Kind: pipeline.Transient, Err: err}
}
