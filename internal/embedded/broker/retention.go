package broker

import (
	"context"
	"fmt"
	"heartbeat/internal/backoff"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	trimEvery = time.Minute
	// never is an interval of milliseconds that does not overflow a duration.
	never = 100 * 365 * 24 * time.Hour
	// defaultRetention is Kafka's, for topics that name none.
	defaultRetention = 7 * 24 * time.Hour
)

// retention trims the broker's log from its old end.
type retention struct {
	cluster *kfake.Cluster
	admin   *kadm.Client
	bytes   int64 // of all topics together
	now     func() time.Time
}

// keepBounded trims the log at once and then at intervals, until the broker stops.
func (b *Broker) keepBounded(ctx context.Context, bytes int64, log *slog.Logger) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Address()))
	if err != nil {
		return fmt.Errorf("connect to broker: %w", err)
	}
	r := &retention{cluster: b.cluster, admin: kadm.NewClient(client), bytes: bytes, now: time.Now}
	if err := r.trim(ctx); err != nil {
		client.Close()
		return fmt.Errorf("trim log: %w", err)
	}
	ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	b.loops.Go(func() {
		defer client.Close()
		r.run(ctx, log)
	})
	return nil
}

func (r *retention) run(ctx context.Context, log *slog.Logger) {
	backoff.Every(ctx, trimEvery, func() {
		if err := r.trim(ctx); err != nil && ctx.Err() == nil {
			log.Error("log not trimmed, disk and memory use will grow", "error", err)
		}
	})
}

func (r *retention) trim(ctx context.Context) error {
	topics, err := r.admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	partitions := 0
	topics.EachPartition(func(kadm.PartitionDetail) { partitions++ })
	for _, name := range topics.Names() {
		if err := r.trimTopic(ctx, name, r.bytes/int64(max(partitions, 1))); err != nil {
			return fmt.Errorf("topic %s: %w", name, err)
		}
	}
	return nil
}

// trimTopic deletes records older than the topic's retention, and the oldest ones of each partition above limit bytes. A partition
// that begins with a record without a timestamp has no known age: only its size counts.
func (r *retention) trimTopic(ctx context.Context, name string, limit int64) error {
	topic := r.cluster.TopicInfo(name)
	if topic == nil || strings.Contains(config(topic, "cleanup.policy"), "compact") {
		return nil
	}
	var dated, live kadm.ListedOffsets // the first offset of each partition that has a timestamp, and that is young enough
	if age := retentionOf(topic); age >= 0 {
		var err error
		if dated, err = r.admin.ListOffsetsAfterMilli(ctx, 0, name); err != nil {
			return err
		}
		if live, err = r.admin.ListOffsetsAfterMilli(ctx, r.now().Add(-age).UnixMilli(), name); err != nil {
			return err
		}
	}
	for _, partition := range r.cluster.PartitionInfos(name) {
		to := firstWithin(partition, limit)
		oldest, known := dated.Lookup(name, partition.Partition)
		known = known && oldest.Err == nil && oldest.Offset <= partition.LogStartOffset
		if first, ok := live.Lookup(name, partition.Partition); ok && first.Err == nil && known {
			to = max(to, first.Offset)
		}
		// The last batch stays: an empty log would start over at offset 0 when it is loaded again.
		to = min(to, partition.HighWatermark-1)
		if to <= partition.LogStartOffset {
			continue
		}
		if err := r.cluster.DeleteRecords(name, partition.Partition, to); err != nil {
			return fmt.Errorf("partition %d: %w", partition.Partition, err)
		}
	}
	return nil
}

// firstWithin returns the offset from which on the partition holds about limit bytes, assuming records of equal size.
func firstWithin(partition *kfake.PartitionInfo, limit int64) int64 {
	if partition.NumBytes <= limit {
		return partition.LogStartOffset
	}
	kept := float64(partition.HighWatermark-partition.LogStartOffset) * float64(limit) / float64(partition.NumBytes)
	return partition.HighWatermark - int64(kept)
}

// retentionOf returns how long the topic keeps records; negative means for ever.
func retentionOf(topic *kfake.TopicInfo) time.Duration {
	millis, err := strconv.ParseInt(config(topic, "retention.ms"), 10, 64)
	if err != nil {
		return defaultRetention
	}
	return time.Duration(min(millis, never.Milliseconds())) * time.Millisecond
}

func config(topic *kfake.TopicInfo, name string) string {
	if value := topic.Configs[name]; value != nil {
		return *value
	}
	return ""
}
