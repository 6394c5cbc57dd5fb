package producer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
)

// PublisherConfig is a kafka.Config with what producing adds to it. The zero values are good.
type PublisherConfig struct {
	kafka.Config
	Role            string        // of the client in metrics, "producer" when empty
	Compression     Compression   // Gzip when empty
	Linger          time.Duration // how long the first record of a batch waits for others, 5 ms when zero
	DeliveryTimeout time.Duration // after which a record without an acknowledgement fails, 2 min when zero
}

const (
	// At 1,000 records a second this makes 145 requests a second instead of 674, for a third of the processor time, and
	// delays a record less than the database does. A longer linger gains little more.
	defaultLinger = 5 * time.Millisecond

	defaultDeliveryTimeout = 2 * time.Minute

	// What may wait for acknowledgement before Publish and Send block. Fewer records leave the connection idle, more only age
	// in memory.
	unacknowledgedRecords = 64 << 10
	unacknowledgedBytes   = 32 << 20

	// A batch holds about 2,000 records. Consumers hold whole batches in memory, several per partition, and larger ones make
	// neither side faster.
	batchBytes = 256 << 10
)

// Publisher writes records to the topic, each to the partition of its key, and keeps trying until all in-sync replicas have
// acknowledged it or the delivery timeout ends the attempts. It may be shared; records of one key keep the order in which
// one goroutine publishes them.
type Publisher struct {
	client   *kafka.Client
	library  *kgo.Client
	deadline *deliveryDeadline
}

// NewPublisher connects as kafka.Connect does, makes sure that the topic exists, and returns a publisher. ctx bounds that, not
// the publisher's life.
func NewPublisher(ctx context.Context, config PublisherConfig) (*Publisher, error) {
	config = config.withPublisherDefaults()
	codecs, err := config.Compression.preference()
	if err != nil {
		return nil, fmt.Errorf("set up Kafka producer: %w", err)
	}
	client, err := kafka.ConnectAs(ctx, config.Config, config.Role, config.options(codecs)...)
	if err != nil {
		return nil, err
	}
	if err := client.EnsureTopic(ctx); err != nil {
		client.Close()
		return nil, err
	}
	return &Publisher{client: client, library: client.Library(), deadline: newDeliveryDeadline(config.DeliveryTimeout)}, nil
}

// Message is a record to publish. Kafka's default partitioner places it by its key.
type Message struct {
	Key, Value []byte
	Time       time.Time           // the record's Kafka timestamp
	ID         *heartbeat.RecordID // goes into the header; nil: the record has none
}

// Outcome is what became of a published record.
type Outcome uint8

// The outcomes.
const (
	Unknown      Outcome = iota // no answer: the record may be in the topic, now or later
	Acknowledged                // all in-sync replicas have the record
	Refused                     // the record is not in the topic, and trying again does not change that
)

// PublishError reports the outcome of each record of a Publish that was not acknowledged as a whole.
type PublishError struct {
	Outcomes []Outcome // in the order of the records
	Err      error     // of the first record that was not acknowledged
}

func (e *PublishError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *PublishError) Unwrap() error { return e.Err }

// Publish writes the records and returns nil once all in-sync replicas have acknowledged every one of them. Otherwise it
// returns a *PublishError when each record's outcome is known, or the context or the delivery timeout has ended. It
// blocks while the buffer is full. The keys and values must not change before it returns; after an Unknown outcome a
// request may still read them, so they must not be reused.
func (p *Publisher) Publish(ctx context.Context, messages ...Message) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.deadline.timeout, fmt.Errorf("no acknowledgement within %v", p.deadline.timeout))
	defer cancel()
	defer context.AfterFunc(p.deadline.life, cancel)()
	records := make([]kgo.Record, len(messages))
	failures := make([]error, len(messages))
	var pending sync.WaitGroup
	pending.Add(len(messages))
	for i, message := range messages {
		records[i] = kgo.Record{Key: message.Key, Value: message.Value, Timestamp: message.Time}
		if message.ID != nil {
			records[i].Headers = []kgo.RecordHeader{{Key: heartbeat.RecordIDHeader, Value: message.ID[:]}}
		}
		p.library.Produce(ctx, &records[i], func(_ *kgo.Record, err error) {
			failures[i] = err
			pending.Done()
		})
	}
	pending.Wait()
	return p.publishError(ctx, failures)
}

func (p *Publisher) publishError(ctx context.Context, failures []error) error {
	first := errors.Join(failures...)
	if first == nil {
		return nil
	}
	result := &PublishError{Outcomes: make([]Outcome, len(failures))}
	for i, failure := range failures {
		result.Outcomes[i] = outcomeOf(failure)
		if failure != nil && result.Err == nil {
			if errors.Is(failure, context.DeadlineExceeded) && ctx.Err() != nil {
				failure = context.Cause(ctx) // the caller's deadline, or the delivery timeout
			}
			result.Err = fmt.Errorf("deliver event to topic %s: %w", p.client.Config().Topic, kafka.Advise(failure))
		}
	}
	return result
}

// rejections are the errors that say that a record is not in the topic.
var rejections = []error{
	kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp, kerr.PolicyViolation,
	kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.UnknownTopicOrPartition, kerr.InvalidTopicException,
}

func outcomeOf(failure error) Outcome {
	if failure == nil {
		return Acknowledged
	}
	for _, rejection := range rejections {
		if errors.Is(failure, rejection) {
			return Refused
		}
	}
	return Unknown
}

// deliveryError says why a record was not acknowledged, and what to do about it.
func (p *Publisher) deliveryError(cause error) error {
	return fmt.Errorf("deliver event to topic %s: %w", p.client.Config().Topic, kafka.Advise(p.deadline.explain(cause)))
}

// Ping returns nil once a broker answers.
func (p *Publisher) Ping(ctx context.Context) error { return p.library.Ping(ctx) }

// Abandon gives up what is not acknowledged yet, so that Publish, Send and Close no longer wait for it.
func (p *Publisher) Abandon() { p.deadline.end() }

// Close waits until every record is acknowledged or given up, and ends the connection. No Publish may run meanwhile or
// follow.
func (p *Publisher) Close() {
	if p.library.Flush(p.deadline.life) != nil {
		// The time is over. The library would still wait for answers to requests on the wire. Their outcome may stay unknown,
		// because nothing is sent after them.
		p.library.UnsafeAbortBufferedRecords()
		_ = p.library.Flush(context.Background())
	}
	p.deadline.end()
	p.client.Close()
}

func (c PublisherConfig) withPublisherDefaults() PublisherConfig {
	if c.Role == "" {
		c.Role = "producer"
	}
	if c.Compression == "" {
		c.Compression = Gzip
	}
	if c.Linger == 0 {
		c.Linger = defaultLinger
	}
	if c.DeliveryTimeout == 0 {
		c.DeliveryTimeout = defaultDeliveryTimeout
	}
	return c
}

func (c PublisherConfig) options(codecs []kgo.CompressionCodec) []kgo.Opt {
	return []kgo.Opt{
		kgo.DefaultProduceTopic(c.Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), // and idempotent, which is the library's default
		kgo.ProducerBatchCompression(codecs...),
		kgo.ProducerLinger(c.Linger),
		kgo.ProducerBatchMaxBytes(batchBytes),
		kgo.MaxBufferedRecords(unacknowledgedRecords),
		kgo.MaxBufferedBytes(unacknowledgedBytes),
		// murmur2 of the key as Kafka's own clients compute it, whichever partitions are reachable.
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		// Without this, a record that was on the wire when the broker died would be waited for without end, whatever its
		// context says. A record can then be both failed and stored, never stored twice by this client.
		kgo.AllowIdempotentProduceCancellation(),
	}
}
