package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/time/rate"

	"heartbeat/internal/pipeline"
)

const (
	// pollRecords is how many records one poll hands out at most, over all partitions.
	pollRecords = 2_000
	// gatherRecords is how many records, over all partitions, wait for their transactions: each partition has its share.
	// In a grown table the index page of each customer is far from the others, and the more of a customer's readings a
	// transaction has, the fewer such pages it takes to store one; this many do most of what more could.
	gatherRecords = 40_000
	// gatherBackground is the same for a consumer in the background: its transactions are to be short.
	gatherBackground = 12_000
	// backpressure is how long a poll waits for a busy worker before it pauses the worker's partition. Pausing throws
	// away what the client has fetched ahead, so it is for workers that are stuck, not for those that are busy.
	backpressure = 500 * time.Millisecond
	// hintEvery is how often positions are committed to Kafka, for lag tools.
	hintEvery = time.Second
	// fetchBytes is how much of a partition one fetch brings, compressed: some thousand records. More costs memory and
	// gains nothing.
	fetchBytes = 64 << 10
	// metadataAge is how soon added partitions are noticed.
	metadataAge = 15 * time.Second
)

// share is how many of the records that are gathered may be one partition's.
func share(gather, partitions int) int {
	return min(max(gather/max(partitions, 1), 2*pollRecords), pipeline.MaxBatch)
}

// session is one membership in the consumer group, with one client. It ends for good when anything about the topic's
// log has changed under it.
type session struct {
	config  ConsumerConfig
	logger  *slog.Logger
	topicID kadm.TopicID
	client  *kgo.Client
	log     pipeline.Log
	over    chan error    // has the reason once the session must end
	room    chan struct{} // has a token when a full lane has drained
	turns   *turns        // nil: the lanes do not wait for each other
	gather  int           // records over all partitions that wait for their transactions

	complaints rate.Sometimes // about errors that pass by themselves or that a person must see

	mu     sync.Mutex // guards all below
	lanes  map[int32]*lane
	hints  map[int32]kgo.EpochOffset // not yet committed to Kafka
	paused map[int32]bool
}

func newSession(config ConsumerConfig, id kadm.TopicID, log pipeline.Log, logger *slog.Logger) *session {
	s := &session{
		config: config, logger: logger, topicID: id, log: log,
		over: make(chan error, 1), room: make(chan struct{}, 1), gather: gatherRecords,
		complaints: rate.Sometimes{Interval: repeatAfter},
		lanes:      map[int32]*lane{}, hints: map[int32]kgo.EpochOffset{}, paused: map[int32]bool{},
	}
	if config.Background {
		s.turns, s.gather = newTurns(), gatherBackground
	}
	return s
}

func (s *session) open() (err error) {
	options := []kgo.Opt{
		kgo.ConsumerGroup(s.config.Group),
		kgo.ConsumeTopics(s.config.Topic),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(s.config.SessionTimeout),
		kgo.BlockRebalanceOnPoll(),
		kgo.DisableAutoCommit(),
		kgo.AdjustFetchOffsetsFn(s.assigned),
		kgo.OnPartitionsRevoked(s.revoked),
		kgo.OnPartitionsLost(s.lost),
		kgo.KeepControlRecords(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxBytes(8 << 20),
		kgo.FetchMaxPartitionBytes(fetchBytes),
		kgo.MetadataMaxAge(metadataAge),
		kgo.WithPools(&pools{}),
	}
	if s.config.InstanceID != "" {
		options = append(options, kgo.InstanceID(s.config.InstanceID))
	}
	s.client, err = s.config.client(options...)
	return err
}

// close lets the batches in hand finish, commits the last hints and leaves the group.
func (s *session) close() {
	s.mu.Lock()
	numbers := slices.Collect(maps.Keys(s.lanes))
	s.mu.Unlock()
	s.release(numbers, laneGrace)
	s.hint(context.Background())
	s.client.CloseAllowingRebalance()
}

// assigned claims the partitions that the group gave us and tells where to fetch from. It runs before the first fetch;
// its context ends when the group takes partitions back meanwhile.
func (s *session) assigned(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	adjusted := map[int32]kgo.Offset{}
	for number := range offsets[s.config.Topic] {
		s.release([]int32{number}, 0)
		partition := pipeline.Partition{Topic: s.config.Topic, TopicID: s.topicID, Number: number}
		worker := s.config.NewWorker(partition, s.log)
		from, err := worker.Claim(ctx)
		if pipeline.KindOf(err) == pipeline.Fenced {
			s.end(err)
		}
		if err != nil {
			return nil, fmt.Errorf("claim partition %d: %w", number, err)
		}
		adjusted[number] = kgo.NewOffset().At(from)
		s.begin(partition, worker)
	}
	return map[string]map[int32]kgo.Offset{s.config.Topic: adjusted}, nil
}

func (s *session) begin(partition pipeline.Partition, worker *pipeline.Worker) {
	l := &lane{partition: partition, worker: worker, fenced: s.fenced, advanced: s.advanced, drained: s.drained, turns: s.turns}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[partition.Number] = l
	s.hints[partition.Number] = kgo.EpochOffset{Epoch: -1, Offset: worker.Next()}
	l.start()
}

// revoked gives partitions back in good order: the batch in hand is committed, and the next owner told where we are.
func (s *session) revoked(ctx context.Context, _ *kgo.Client, partitions map[string][]int32) {
	s.release(partitions[s.config.Topic], laneGrace)
	s.hint(ctx)
}

// lost drops partitions that somebody else may have already.
func (s *session) lost(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	s.release(partitions[s.config.Topic], 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, number := range partitions[s.config.Topic] {
		delete(s.hints, number)
	}
}

// release stops the lanes of partitions, all at once.
func (s *session) release(numbers []int32, grace time.Duration) {
	var wait sync.WaitGroup
	for _, number := range numbers {
		s.mu.Lock()
		l := s.lanes[number]
		delete(s.lanes, number)
		delete(s.paused, number)
		s.mu.Unlock()
		if l == nil {
			continue
		}
		s.client.ResumeFetchPartitions(map[string][]int32{s.config.Topic: {number}})
		wait.Go(func() {
			l.release(grace)
			s.config.Released(l.partition)
			s.logger.Info("partition released", "partition", number, "next_offset", l.worker.Next())
		})
	}
	wait.Wait()
}

// fenced handles a worker whose write was refused. Where the group has expelled us its own callback follows within a
// heartbeat; where not, another group writes to the same database, and we go on in turns, slowly and loudly.
func (s *session) fenced(l *lane, err error) {
	s.logger.Error("partition belongs to another consumer now; if this goes on, a second consumer group writes to the same database",
		"partition", l.partition.Number, "error", err)
	time.AfterFunc(s.config.SessionTimeout, func() {
		s.mu.Lock()
		still := s.lanes[l.partition.Number] == l
		s.mu.Unlock()
		if still {
			s.end(errSessionOver)
		}
	})
}

func (s *session) end(err error) {
	select {
	case s.over <- err:
	default:
	}
}

func (s *session) advanced(l *lane, to position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hints[l.partition.Number] = kgo.EpochOffset{Epoch: to.epoch, Offset: to.offset}
}

func (s *session) drained(*lane) {
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// poll fetches and hands out until the context or the session ends.
func (s *session) poll(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var hints sync.WaitGroup
	defer hints.Wait()
	hints.Go(func() { s.watch(ctx, cancel) })
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

// watch commits hints, resumes drained partitions and ends the poll when the session is over.
func (s *session) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(hintEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-s.over:
			cancel(err)
			return
		case <-ticker.C:
			s.hint(ctx)
			s.resume()
		}
	}
}

// dispatch hands fetched records to their lanes. It returns an error when the session cannot go on.
func (s *session) dispatch(ctx context.Context, fetches kgo.Fetches) error {
	for _, fetch := range fetches {
		for i := range fetch.Topics {
			topic := &fetch.Topics[i]
			if topic.Topic == s.config.Topic && topic.TopicID != s.topicID && topic.TopicID != (kadm.TopicID{}) {
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
		return s.judge(fetch)
	}
	s.mu.Lock()
	l, share := s.lanes[fetch.Partition], share(s.gather, len(s.lanes))
	s.mu.Unlock()
	if l == nil || len(fetch.Records) == 0 {
		return nil
	}
	if !l.push(fetch.Records, share-pollRecords) {
		s.yield(ctx, l)
	}
	return nil
}

// yield waits a moment for a lane to drain, then pauses its partition so that the others go on.
func (s *session) yield(ctx context.Context, l *lane) {
	timer := time.NewTimer(backpressure)
	defer timer.Stop()
	for l.isFull() {
		select {
		case <-ctx.Done():
			return
		case <-s.room:
		case <-timer.C:
			s.mu.Lock()
			s.paused[l.partition.Number] = true
			s.mu.Unlock()
			s.client.PauseFetchPartitions(map[string][]int32{s.config.Topic: {l.partition.Number}})
			s.logger.Debug("partition paused", "partition", l.partition.Number)
			return
		}
	}
}

// resume lets paused partitions fetch again once their lanes have room.
func (s *session) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for number := range s.paused {
		if l := s.lanes[number]; l == nil || !l.isFull() {
			delete(s.paused, number)
			s.client.ResumeFetchPartitions(map[string][]int32{s.config.Topic: {number}})
		}
	}
}

// judge decides whether the session can go on after a fetch error.
func (s *session) judge(fetch *kgo.FetchPartition) error {
	err := fetch.Err
	_, lost := errors.AsType[*kgo.ErrDataLoss](err)
	if lost || errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.OffsetOutOfRange) {
		return fmt.Errorf("fetch partition %d: %w", fetch.Partition, err)
	}
	if kgo.IsRetryableBrokerErr(err) || errors.Is(err, context.Canceled) {
		return nil
	}
	// The client tries again many times a second.
	s.complaints.Do(func() {
		if _, ok := errors.AsType[*kgo.ErrGroupSession](err); ok {
			s.logger.Warn("consumer group session lost, joining again", "error", withAdvice(err))
			return
		}
		s.logger.Error("fetch does not succeed", "partition", fetch.Partition, "error", withAdvice(err))
	})
	return nil
}

// hint commits the stored positions to Kafka. Nothing depends on it, so an error is only worth a word.
func (s *session) hint(ctx context.Context) {
	s.mu.Lock()
	hints := s.hints
	s.hints = map[int32]kgo.EpochOffset{}
	s.mu.Unlock()
	if len(hints) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, hintEvery)
	defer cancel()
	s.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{s.config.Topic: hints},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) {
			if err != nil {
				s.logger.Debug("offset hint not committed", "error", err)
			}
		})
}
