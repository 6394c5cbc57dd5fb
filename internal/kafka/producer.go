package kafka

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/heartbeat"
)

// ProducerConfig is a Config and what producing adds to it. The zero values are good.
type ProducerConfig struct {
	Config
	Compression     Compression   // Zstd when empty
	Linger          time.Duration // how long the first event of a batch waits for company, 5 ms when zero
	DeliveryTimeout time.Duration // after which an event that nobody acknowledged is a final error, 2 min when zero
	OnDelivery      func(Delivery)
}

// Delivery is the outcome of one event. The callback is called for one event at a time, must not block on the
// producer, and must not keep Value.
type Delivery struct {
	Partition int32
	Offset    int64
	Value     []byte // the event as it went over the wire
	Err       error  // final: the event was not acknowledged and nobody tries again
}

const (
	// At 1,000 events a second this makes 145 requests a second instead of 674, for a third of the processor time, and
	// delays an event less than the database does. A longer wait gains little more.
	defaultLinger = 5 * time.Millisecond

	defaultDeliveryTimeout = 2 * time.Minute

	// What may wait for acknowledgement before Send blocks. Fewer records would leave the connection idle, more would only
	// age in memory.
	bufferedRecords = 64 << 10
	bufferedBytes   = 32 << 20

	// A batch holds about 2,000 events. Consumers have whole batches in memory, several of each partition, and larger ones
	// make neither side faster.
	batchBytes = 256 << 10
)

// Producer sends events to the topic, each to the partition of its customer, and keeps trying until the brokers have
// acknowledged it or the delivery timeout makes the error final. It may be shared; events of one customer keep the
// order in which one goroutine sends them.
type Producer struct {
	*Client
	onDelivery func(Delivery)
	patience   *patience
	pool       sync.Pool // of *delivery

	acknowledged atomic.Int64
	failed       atomic.Int64
	failure      atomic.Pointer[error] // the first final error
}

// NewProducer connects as Connect does, makes sure that the topic exists, and returns a producer ready to send.
// ctx bounds that, not the producer's life.
func NewProducer(ctx context.Context, config ProducerConfig) (*Producer, error) {
	config = config.withProducerDefaults()
	codecs, err := config.Compression.preference()
	if err != nil {
		return nil, fmt.Errorf("set up Kafka producer: %w", err)
	}
	client, err := connect(ctx, config.Config, config.producerOptions(codecs)...)
	if err != nil {
		return nil, err
	}
	if err := client.EnsureTopic(ctx); err != nil {
		client.Close()
		return nil, err
	}
	p := &Producer{
		Client:     client,
		onDelivery: config.OnDelivery,
		patience:   newPatience(config.DeliveryTimeout),
	}
	p.pool.New = func() any { return p.newDelivery() }
	return p, nil
}

// Send queues the event. It blocks while the buffer is full, and refuses once a delivery has failed for good.
func (p *Producer) Send(event heartbeat.Event) error {
	if err := p.Err(); err != nil {
		return err
	}
	d := p.pool.Get().(*delivery)
	d.encode(event)
	p.kgo.Produce(p.patience.context(), &d.record, d.promise)
	return nil
}

// Err returns the first final delivery error, nil while there is none.
func (p *Producer) Err() error {
	if err := p.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Acknowledged is how many events the brokers have.
func (p *Producer) Acknowledged() int64 { return p.acknowledged.Load() }

// Failed is how many events were given up.
func (p *Producer) Failed() int64 { return p.failed.Load() }

// Abandon gives up what is not acknowledged yet, so that Send and Close no longer wait for it.
func (p *Producer) Abandon() { p.patience.end() }

// Close waits until every event is acknowledged or given up, ends the connection and returns Err. No Send may run
// meanwhile or follow.
func (p *Producer) Close() error {
	if p.kgo.Flush(p.patience.life) != nil {
		// Abandoned. The library would still wait for answers to what is on the wire; nothing is sent after this that
		// an unknown outcome could harm.
		p.kgo.UnsafeAbortBufferedRecords()
		_ = p.kgo.Flush(context.Background())
	}
	p.patience.end()
	p.Client.Close()
	return p.Err()
}

// settle ends the life of one event.
func (p *Producer) settle(d *delivery, err error) {
	if err != nil {
		p.giveUp(d, err)
		return
	}
	p.acknowledged.Add(1)
	if p.onDelivery != nil {
		p.onDelivery(Delivery{Partition: d.record.Partition, Offset: d.record.Offset, Value: d.record.Value})
	}
	p.pool.Put(d)
}

// giveUp settles an event that was not acknowledged. Its memory is not used again: a request that was cancelled may
// still be reading it.
func (p *Producer) giveUp(d *delivery, cause error) {
	err := fmt.Errorf("deliver event to topic %s: %w", p.config.Topic, withAdvice(p.patience.explain(cause)))
	p.failed.Add(1)
	p.failure.CompareAndSwap(nil, &err)
	if p.onDelivery != nil {
		p.onDelivery(Delivery{Partition: d.record.Partition, Offset: d.record.Offset, Value: d.record.Value, Err: err})
	}
}

// delivery is an event under way: its record, the bytes of key and value, and the promise that settles it. It is used
// again after it was acknowledged, so that sending allocates nothing.
type delivery struct {
	record  kgo.Record
	promise func(*kgo.Record, error)
	bytes   [128]byte
}

func (p *Producer) newDelivery() *delivery {
	d := new(delivery)
	d.promise = func(_ *kgo.Record, err error) { p.settle(d, err) }
	return d
}

func (d *delivery) encode(event heartbeat.Event) {
	key := event.Customer.AppendTo(d.bytes[:0])
	value := event.AppendJSON(key[len(key):])
	d.record = kgo.Record{Key: key, Value: value, Timestamp: event.Time}
}

func (c ProducerConfig) withProducerDefaults() ProducerConfig {
	if c.Compression == "" {
		c.Compression = Zstd
	}
	if c.Linger == 0 {
		c.Linger = defaultLinger
	}
	if c.DeliveryTimeout == 0 {
		c.DeliveryTimeout = defaultDeliveryTimeout
	}
	return c
}

func (c ProducerConfig) producerOptions(codecs []kgo.CompressionCodec) []kgo.Opt {
	return []kgo.Opt{
		kgo.DefaultProduceTopic(c.Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), // and idempotent, which is the library's default
		kgo.ProducerBatchCompression(codecs...),
		kgo.ProducerLinger(c.Linger),
		kgo.ProducerBatchMaxBytes(batchBytes),
		kgo.MaxBufferedRecords(bufferedRecords),
		kgo.MaxBufferedBytes(bufferedBytes),
		// murmur2 of the key as Kafka's own clients compute it, whichever partitions are reachable.
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		// Without this an event that was on the wire when the broker died would be waited for without end, whatever its
		// context says. It can leave an event both failed and stored, never stored twice: a final error ends the sending.
		kgo.AllowIdempotentProduceCancellation(),
	}
}
