package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/kafka"
	"heartbeat/internal/pipeline"
)

const (
	// pollRecords is how many records one poll returns at most, over all partitions.
	pollRecords = 2_000
	// bufferedRecordsLive is how many records, over all partitions, wait for their transactions: each partition has its share.
	// In a grown table the index page of each customer is far from the others, and the more readings of a customer are in a
	// transaction, the fewer such pages one reading costs. Gains flatten above this size.
	bufferedRecordsLive = 40_000
	// bufferedRecordsBackground is the same for a background consumer, whose transactions must be short.
	bufferedRecordsBackground = 12_000
	// pauseAfter is how long a poll waits for a full queue before it pauses the partition. Pausing discards what the client
	// has prefetched, so it is for workers that are stuck, not for busy ones.
	pauseAfter = 500 * time.Millisecond
)

// queueLimit is how many of the buffered records may be one partition's.
func queueLimit(buffered, partitions int) int {
	return min(max(buffered/max(partitions, 1), 2*pollRecords), pipeline.MaxBatch)
}

// poll fetches records and passes them to the queues until the context or the session ends.
func (s *session) poll(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var maintaining sync.WaitGroup
	defer maintaining.Wait()
	maintaining.Go(func() { s.maintain(ctx, cancel) })
	if s.config.Watch {
		maintaining.Go(func() { s.askEnds(ctx) })
	}
	for {
		fetches := s.client.PollRecords(ctx, pollRecords)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := s.dispatch(ctx, fetches)
		s.client.AllowRebalance()
		if err != nil {
			cancel(err)
			return err
		}
	}
}

// dispatch pushes fetched records to their queues. It returns an error when the session cannot go on.
func (s *session) dispatch(ctx context.Context, fetches kgo.Fetches) error {
	for _, fetch := range fetches {
		for i := range fetch.Topics {
			topic := &fetch.Topics[i]
			if topic.Topic == s.topic && topic.TopicID != s.topicID && topic.TopicID != (kadm.TopicID{}) {
				return errTopicReplaced
			}
			for j := range topic.Partitions {
				if err := s.deliver(ctx, &topic.Partitions[j]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *session) deliver(ctx context.Context, fetch *kgo.FetchPartition) error {
	if fetch.Err != nil {
		return s.handleFetchError(fetch)
	}
	s.mu.Lock()
	q, limit := s.queues[fetch.Partition], queueLimit(s.buffered, len(s.queues))
	s.mu.Unlock()
	if q == nil || len(fetch.Records) == 0 {
		return nil
	}
	if !q.push(fetch.Records, limit-pollRecords) {
		s.applyBackpressure(ctx, q)
	}
	return nil
}

// applyBackpressure waits for a full queue, then pauses its partition so that the others go on.
func (s *session) applyBackpressure(ctx context.Context, q *partitionQueue) {
	timer := time.NewTimer(pauseAfter)
	defer timer.Stop()
	for q.isFull() {
		select {
		case <-ctx.Done():
			return
		case <-s.resumed:
		case <-timer.C:
			s.mu.Lock()
			s.paused[q.partition.Number] = true
			s.mu.Unlock()
			s.client.PauseFetchPartitions(map[string][]int32{s.topic: {q.partition.Number}})
			s.logger.Debug("partition paused", "partition", q.partition.Number)
			return
		}
	}
}

// resume lets paused partitions fetch again once their queues can take records.
func (s *session) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for number := range s.paused {
		if q := s.queues[number]; q == nil || !q.isFull() {
			delete(s.paused, number)
			s.client.ResumeFetchPartitions(map[string][]int32{s.topic: {number}})
		}
	}
}

// handleFetchError returns an error when the session cannot go on after a fetch error.
func (s *session) handleFetchError(fetch *kgo.FetchPartition) error {
	err := fetch.Err
	if errors.Is(err, kerr.FencedInstanceID) {
		return err
	}
	_, dataLoss := errors.AsType[*kgo.ErrDataLoss](err)
	if dataLoss || errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.OffsetOutOfRange) {
		return fmt.Errorf("fetch partition %d: %w", fetch.Partition, err)
	}
	if kgo.IsRetryableBrokerErr(err) || errors.Is(err, context.Canceled) {
		return nil
	}
	_, groupSession := errors.AsType[*kgo.ErrGroupSession](err)
	if !groupSession && s.config.FetchFailed != nil {
		s.config.FetchFailed(fetch.Partition, kafka.Advise(err))
	}
	// The client retries many times a second.
	s.repeated.Do(func() {
		if groupSession {
			s.logger.Warn("consumer group session lost, joining again", "error", kafka.Advise(err))
			return
		}
		s.logger.Error("fetch does not succeed", "partition", fetch.Partition, "error", kafka.Advise(err))
	})
	return nil
}
