package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"heartbeat/internal/pipeline"
)

// errTopicReplaced says that the topic of the id we knew is gone: deleted, or deleted and created anew.
var errTopicReplaced = errors.New("topic was deleted or replaced by another one of its name")

// brokerLog answers the pipeline's questions about offsets. It implements pipeline.Log.
type brokerLog struct {
	admin *kadm.Client
}

// Bounds returns the first retained offset of the partition and the one behind the last.
func (l brokerLog) Bounds(ctx context.Context, partition pipeline.Partition) (start, end int64, err error) {
	starts, err := l.admin.ListStartOffsets(ctx, partition.Topic)
	if err != nil {
		return 0, 0, outage(fmt.Errorf("list start offsets: %w", err))
	}
	ends, err := l.admin.ListEndOffsets(ctx, partition.Topic)
	if err != nil {
		return 0, 0, outage(fmt.Errorf("list end offsets: %w", err))
	}
	first, _ := starts.Lookup(partition.Topic, partition.Number)
	last, _ := ends.Lookup(partition.Topic, partition.Number)
	if err := errors.Join(first.Err, last.Err); err != nil {
		return 0, 0, outage(fmt.Errorf("list offsets of partition %d: %w", partition.Number, err))
	}
	// Offsets are asked for by name. Ids never come back, so if the id is still ours they were ours.
	id, err := topicID(ctx, l.admin, partition.Topic)
	if err != nil {
		return 0, 0, outage(err)
	}
	if id != partition.TopicID {
		return 0, 0, &pipeline.Fault{Kind: pipeline.Fenced, Err: errTopicReplaced}
	}
	return first.Offset, last.Offset, nil
}

// EpochEnd returns where the records of a leader epoch end, -1 when the broker does not remember the epoch.
func (l brokerLog) EpochEnd(ctx context.Context, partition pipeline.Partition, epoch int32) (int64, error) {
	request := kadm.OffsetForLeaderEpochRequest{}
	request.Add(partition.Topic, partition.Number, epoch)
	answers, err := l.admin.OffsetForLeaderEpoch(ctx, request)
	if err != nil {
		return 0, outage(err)
	}
	answer, ok := answers[partition.Topic][partition.Number]
	if !ok {
		return -1, nil
	}
	if answer.Err != nil {
		return 0, outage(answer.Err)
	}
	return answer.EndOffset, nil
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
