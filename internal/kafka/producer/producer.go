package producer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
)

// Config sets up a Producer. The zero values are good.
type Config struct {
	kafka.Config
	Compression     Compression   // as of PublisherConfig
	Linger          time.Duration // as of PublisherConfig
	DeliveryTimeout time.Duration // as of PublisherConfig
	OnDelivery      func(Delivery)
}

// Delivery is the outcome of one event. The callback is called for one event at a time, must not block on the
// producer, and must not keep Value.
type Delivery struct {
	Partition int32
	Offset    int64
	Value     []byte // the event as it went over the wire
	Err       error  // final: the event was not acknowledged and is not tried again
}

// Producer streams events through a Publisher without waiting for each acknowledgement: it reports them to OnDelivery,
// and the first event that fails ends the stream. Sending allocates nothing. It may be shared; events of one customer
// keep the order in which one goroutine sends them.
type Producer struct {
	publisher  *Publisher
	onDelivery func(Delivery)
	pool       sync.Pool // of *delivery

	acknowledged atomic.Int64
	failed       atomic.Int64
	failure      atomic.Pointer[error] // the first final error
}

// New returns a producer on a publisher of its own, as NewPublisher does.
func New(ctx context.Context, config Config) (*Producer, error) {
	publisher, err := NewPublisher(ctx, PublisherConfig{
		Config: config.Config, Compression: config.Compression, Linger: config.Linger, DeliveryTimeout: config.DeliveryTimeout,
	})
	if err != nil {
		return nil, err
	}
	p := &Producer{publisher: publisher, onDelivery: config.OnDelivery}
	p.pool.New = func() any { return p.newDelivery() }
	return p, nil
}

// Send queues the event. It blocks while the buffer is full, and fails once a delivery has failed for good.
func (p *Producer) Send(event heartbeat.Event) error { return p.SendAt(event, event.Time) }

// SendAt is Send for an event that leaves its device at another time than its own: later, or with a wrong clock.
func (p *Producer) SendAt(event heartbeat.Event, sent time.Time) error {
	if err := p.Err(); err != nil {
		return err
	}
	d := p.pool.Get().(*delivery)
	d.encode(event, sent)
	p.publisher.library.Produce(p.publisher.deadline.context(), &d.record, d.promise)
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
func (p *Producer) Abandon() { p.publisher.Abandon() }

// Close waits until every event is acknowledged or given up, ends the connection and returns Err. No Send may run
// meanwhile or follow.
func (p *Producer) Close() error {
	p.publisher.Close()
	return p.Err()
}

// complete ends the life of one event.
func (p *Producer) complete(d *delivery, err error) {
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

// giveUp completes an event that was not acknowledged. Its memory is not reused: a cancelled request may still read it.
func (p *Producer) giveUp(d *delivery, cause error) {
	err := p.publisher.deliveryError(cause)
	p.failed.Add(1)
	p.failure.CompareAndSwap(nil, &err)
	if p.onDelivery != nil {
		p.onDelivery(Delivery{Partition: d.record.Partition, Offset: d.record.Offset, Value: d.record.Value, Err: err})
	}
}

// delivery is an event that was sent: its record, the bytes of key and value, and the promise that completes it. It is
// reused after the acknowledgement.
type delivery struct {
	record  kgo.Record
	promise func(*kgo.Record, error)
	bytes   [128]byte
}

func (p *Producer) newDelivery() *delivery {
	d := new(delivery)
	d.promise = func(_ *kgo.Record, err error) { p.complete(d, err) }
	return d
}

func (d *delivery) encode(event heartbeat.Event, sent time.Time) {
	key := event.Customer.AppendTo(d.bytes[:0])
	value := event.AppendJSON(key[len(key):])
	d.record = kgo.Record{Key: key, Value: value, Timestamp: sent}
}
