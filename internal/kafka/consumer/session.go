package consumer

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
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/time/rate"

	"heartbeat/internal/backoff"
	"heartbeat/internal/kafka"
	"heartbeat/internal/pipeline"
)

const (
	// offsetCommitInterval is how often stored offsets are committed to Kafka, for lag tools.
	offsetCommitInterval = time.Second
	// fetchBytes is the largest compressed fetch of one partition: some thousand records. More costs memory and gains nothing.
	fetchBytes = 64 << 10
	// fetchWait is how long a fetch waits for records. A partition that was just claimed is not fetched before the fetch in
	// progress returns, so the library's default of 5 s would leave it unread that long on a quiet topic.
	fetchWait = 500 * time.Millisecond
	// askInterval is how often the broker is asked where the partitions end, askTimeout how long it may take to answer.
	askInterval = time.Second
	askTimeout  = 5 * time.Second
)

// session is one membership in the consumer group, with a client of its own. It ends for good when anything about the
// topic's log has changed.
type session struct {
	config     Config
	connection kafka.Config
	topic      string
	topicID    kadm.TopicID
	logger     *slog.Logger
	client     *kgo.Client
	log        brokerLog

	over     chan error    // has the reason once the session must end
	resumed  chan struct{} // has a token when a full queue can take records again
	throttle *throttle     // nil: partition queues store independently
	buffered int           // records over all partitions that may wait for their transactions

	repeated rate.Sometimes // limits errors that pass by themselves or need a person

	mu     sync.Mutex // guards all below
	queues map[int32]*partitionQueue
	paused map[int32]bool
	behind map[int32]kgo.EpochOffset // stored offsets of released queues, not yet committed to Kafka
}

func newSession(consumer *Consumer, id kadm.TopicID) *session {
	connection := consumer.client.Config()
	s := &session{
		config: consumer.config, connection: connection, topic: connection.Topic, topicID: id, logger: consumer.log,
		log:  brokerLog{consumer.client.Admin()},
		over: make(chan error, 1), resumed: make(chan struct{}, 1), buffered: bufferedRecordsLive,
		repeated: rate.Sometimes{Interval: kafka.LogInterval},
		queues:   map[int32]*partitionQueue{}, paused: map[int32]bool{}, behind: map[int32]kgo.EpochOffset{},
	}
	if s.config.Background {
		s.throttle, s.buffered = newThrottle(), bufferedRecordsBackground
	}
	return s
}

func (s *session) open() (err error) {
	options := []kgo.Opt{
		kgo.ConsumerGroup(s.config.Group),
		kgo.ConsumeTopics(s.topic),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(s.config.SessionTimeout),
		kgo.RebalanceTimeout(rebalanceTimeout),
		kgo.HeartbeatInterval(min(heartbeatInterval, s.config.SessionTimeout/3)),
		kgo.BlockRebalanceOnPoll(),
		kgo.DisableAutoCommit(),
		kgo.AdjustFetchOffsetsFn(s.assigned),
		kgo.OnPartitionsRevoked(s.revoked),
		kgo.OnPartitionsLost(s.lost),
		kgo.KeepControlRecords(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxWait(fetchWait),
		kgo.FetchMaxBytes(8 << 20),
		kgo.FetchMaxPartitionBytes(fetchBytes),
		kgo.MetadataMaxAge(kafka.MetadataAge),
		kgo.WithPools(&fetchPools{}),
	}
	if s.config.InstanceID != "" {
		options = append(options, kgo.InstanceID(s.config.InstanceID))
	}
	s.client, err = s.connection.Open("consumer", options...)
	return err
}

// close lets the batches in progress finish, commits the last offsets and closes the client. A dynamic member leaves the
// group. A static member leaves it only if its process is stopping and other members can take over. If it is alone it stays
// a member, so that its restart has the partitions again without a rebalance; if it does not restart, the group
// removes it after the session timeout.
func (s *session) close(stopping bool) {
	s.mu.Lock()
	numbers := slices.Collect(maps.Keys(s.queues))
	s.mu.Unlock()
	s.release(numbers, releaseGrace)
	s.commitOffsets(context.Background())
	leave := stopping && s.config.InstanceID != "" && s.hasOtherMembers()
	s.client.CloseAllowingRebalance()
	if leave {
		s.leaveByInstanceID()
	}
}

// leaveTimeout bounds each request with which a member leaves.
const leaveTimeout = 2 * time.Second

// hasOtherMembers reports whether other members could take over. If the broker does not say, it assumes so.
func (s *session) hasOtherMembers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	groups, err := s.log.admin.DescribeGroups(ctx, s.config.Group)
	group := groups[s.config.Group]
	return err != nil || group.Err != nil || len(group.Members) != 1
}

// leaveByInstanceID removes this static member from the group; the library does so for dynamic members only.
func (s *session) leaveByInstanceID() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	leave := kadm.LeaveGroup(s.config.Group).InstanceIDs(s.config.InstanceID).Reason("consumer stops")
	if _, err := s.log.admin.LeaveGroup(ctx, leave); err != nil {
		s.logger.Debug("group not left, it removes the member after the session timeout", "error", err)
	}
}

// assigned claims the partitions that the group has assigned and returns the offsets to fetch from. It runs before the
// first fetch; its context ends when the group revokes partitions meanwhile.
func (s *session) assigned(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	adjusted := map[int32]kgo.Offset{}
	for number := range offsets[s.topic] {
		s.release([]int32{number}, 0)
		partition := pipeline.Partition{Topic: s.topic, TopicID: s.topicID, Number: number}
		worker := s.config.NewWorker(partition)
		from, err := s.claim(ctx, partition, worker)
		if pipeline.KindOf(err) == pipeline.Fenced {
			s.end(err)
		}
		if err != nil {
			return nil, fmt.Errorf("claim partition %d: %w", number, err)
		}
		adjusted[number] = kgo.NewOffset().At(from)
		s.start(newPartitionQueue(partition, worker, s.throttle, s.resumed))
	}
	return map[string]map[int32]kgo.Offset{s.topic: adjusted}, nil
}

// claim makes the worker the only writer of the partition and returns the offset to fetch from. It waits out any
// outage. It fails only with the context's error, or with kind Fenced when the topic was replaced.
func (s *session) claim(ctx context.Context, partition pipeline.Partition, worker *pipeline.Worker) (from int64, err error) {
	for attempt := 0; ; attempt++ {
		from, err := s.tryClaim(ctx, partition, worker)
		if err == nil || pipeline.KindOf(err) == pipeline.Fenced {
			return from, err
		}
		if err := worker.Wait(ctx, attempt, err); err != nil {
			return 0, err
		}
	}
}

// tryClaim asks the broker twice: only once the fence is raised is the stored position final, and an end of the log read
// before could lie below it.
func (s *session) tryClaim(ctx context.Context, partition pipeline.Partition, worker *pipeline.Worker) (from int64, err error) {
	before, err := s.log.bounds(ctx, partition)
	if err != nil {
		return 0, err
	}
	epoch, err := worker.Claim(ctx, before.Start)
	if err != nil {
		return 0, err
	}
	now, err := s.log.boundsOfEpoch(ctx, partition, epoch)
	if err != nil {
		return 0, err
	}
	return worker.Reconcile(ctx, now)
}

// start runs the queue until its partition is released, or its worker has lost the partition.
func (s *session) start(q *partitionQueue) {
	ctx, cancel := context.WithCancel(context.Background())
	q.quit = cancel
	s.mu.Lock()
	s.queues[q.partition.Number] = q
	delete(s.behind, q.partition.Number)
	s.mu.Unlock()
	go func() {
		defer cancel()
		if err := q.run(ctx); err != nil {
			s.fenced(q, err)
		}
	}()
}

// revoked hands partitions over: their batches in progress are committed, and their offsets, so that lag tools do not jump.
func (s *session) revoked(ctx context.Context, _ *kgo.Client, partitions map[string][]int32) {
	s.release(partitions[s.topic], releaseGrace)
	s.commitOffsets(ctx)
}

// lost drops partitions that another member may own already.
func (s *session) lost(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	s.release(partitions[s.topic], 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, number := range partitions[s.topic] {
		delete(s.behind, number)
	}
}

// release stops the queues of partitions, all at once.
func (s *session) release(numbers []int32, grace time.Duration) {
	var wait sync.WaitGroup
	for _, number := range numbers {
		s.mu.Lock()
		q := s.queues[number]
		delete(s.queues, number)
		delete(s.paused, number)
		s.mu.Unlock()
		if q == nil {
			continue
		}
		s.client.ResumeFetchPartitions(map[string][]int32{s.topic: {number}})
		wait.Go(func() {
			q.release(grace)
			s.keepOffset(q)
			s.config.Released(q.partition)
			s.logger.Info("partition released", "partition", number, "next_offset", q.worker.Next())
		})
	}
	wait.Wait()
}

// keepOffset keeps what a released queue has stored for the next offset commit.
func (s *session) keepOffset(q *partitionQueue) {
	if stored, changed := q.offsetToCommit(); changed {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.behind[q.partition.Number] = stored
	}
}

// fencedDelay is how long a fenced partition waits for the group to revoke it, before the session claims it again.
const fencedDelay = 15 * time.Second

// fenced handles a worker whose write was refused. If the group has expelled this member, its own callback follows within
// a heartbeat. If not, another group writes to the same database, and the groups alternate, slowly and with an error each
// time.
func (s *session) fenced(q *partitionQueue, err error) {
	s.logger.Error("partition belongs to another consumer now; if this goes on, a second consumer group writes to the same database",
		"partition", q.partition.Number, "error", err)
	time.AfterFunc(fencedDelay, func() {
		s.mu.Lock()
		still := s.queues[q.partition.Number] == q
		s.mu.Unlock()
		if still {
			s.end(errSessionOver)
		}
	})
}

// errSessionOver is the reason of a session that a fenced worker has ended.
var errSessionOver = errors.New("partitions must be claimed again")

func (s *session) end(err error) {
	select {
	case s.over <- err:
	default:
	}
}

// maintain commits offsets, resumes paused partitions and ends the poll when the session is over.
func (s *session) maintain(ctx context.Context, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(offsetCommitInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-s.over:
			cancel(err)
			return
		case <-ticker.C:
			s.commitOffsets(ctx)
			s.resume()
		}
	}
}

// askEnds asks the broker each second where the partitions end. The client of the consumer does not say: it keeps an answer
// without records to itself. Where no broker answers for a partition, its clock of silence stands still.
func (s *session) askEnds(ctx context.Context) {
	backoff.Every(ctx, askInterval, func() {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		asked := time.Now()
		ends, err := s.log.admin.ListEndOffsets(ctx, s.topic)
		if err != nil {
			s.logger.Debug("ends of partitions not listed", "error", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for number, q := range s.queues {
			if end, ok := ends.Lookup(s.topic, number); ok && end.Err == nil {
				q.ask(endOfLog{end.Offset, asked})
			}
		}
	})
}

// commitOffsets commits the stored offsets that Kafka does not have yet. Nothing depends on them, so an error is only logged.
func (s *session) commitOffsets(ctx context.Context) {
	offsets := s.offsetsToCommit()
	if len(offsets) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, offsetCommitInterval)
	defer cancel()
	s.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{s.topic: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) {
			if err != nil {
				s.logger.Debug("offsets not committed", "error", err)
			}
		})
}

func (s *session) offsetsToCommit() map[int32]kgo.EpochOffset {
	s.mu.Lock()
	defer s.mu.Unlock()
	offsets := s.behind
	s.behind = map[int32]kgo.EpochOffset{}
	for number, q := range s.queues {
		if stored, changed := q.offsetToCommit(); changed {
			offsets[number] = stored
		}
	}
	return offsets
}
