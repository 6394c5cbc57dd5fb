package bench

import (
	"context"
	"errors"
	"math"
	"slices"
	"syscall"
	"time"

	"heartbeat/internal/kafka"
	"heartbeat/internal/process"
	"heartbeat/internal/simulate"
)

const (
	// warmUp is the beginning of a steady run that does not count.
	warmUp = time.Second
	// sendEvery is how often the events are sent that have fallen due.
	sendEvery = time.Millisecond
	// keptUp is how far a consumer may lie behind at the end, in time, and still count as keeping up.
	keptUp = 500 * time.Millisecond
)

// rhythm is how often a steady run works. Producer and observer share the processors with what they measure: the rarer they
// work the less they disturb it, and the longer a reading waits for them.
type rhythm struct {
	linger time.Duration // how long the producer collects
	look   time.Duration // how often the observer looks: latencies are measured too long by up to this
}

const manyPerSecond = 50_000

// rhythmAt returns the rhythm for a rate: at many readings a second the producer's default, a small part of the latency there.
func rhythmAt(perSecond int) rhythm {
	if perSecond < manyPerSecond {
		return rhythm{linger: time.Millisecond, look: 2 * time.Millisecond}
	}
	return rhythm{linger: 5 * time.Millisecond, look: 5 * time.Millisecond}
}

// Steady is what the consumer does at one rate that does not wait for it.
type Steady struct {
	PerSecond          int     `json:"per_second"`
	Seconds            float64 `json:"seconds"`
	KeptUp             bool    `json:"kept_up"`
	Latency            Latency `json:"latency"` // from the event's time to the row being visible
	Sent               Latency `json:"sent"`    // of which until the broker had acknowledged the event
	RowsPerTransaction float64 `json:"rows_per_transaction"`
	MaxLag             int64   `json:"max_lag"` // readings that were due and not stored, at worst
	EndLag             int64   `json:"end_lag"` // and when the last was due
	Usage              Usage   `json:"cpu_per_reading"`
	WALBytes           float64 `json:"wal_bytes_per_reading"`
	ResidentBytes      int64   `json:"consumer_rss_bytes"`
}

// busy is how many cores were, with everything that takes part.
func (s Steady) busy() float64 { return s.Usage.total() * float64(s.PerSecond) / 1e6 }

// stream is an open-loop run under way. Event n is due at began + n/perSecond, dated with that, and sent as soon after
// as may be: whatever holds a reading up counts, be it in the producer.
type stream struct {
	rhythm
	topic     *topic
	began     time.Time
	perSecond int
	due       [][]time.Duration // by partition and offset, since began
	sent      []time.Duration   // how long after they were due the broker had acknowledged the events
	sights    [][]visible       // by partition
}

// visible says that the offsets below next could be read at a time.
type visible struct {
	at   time.Duration // since began
	next int64
}

// steady runs the consumer at one rate into an empty database.
func (s *stage) steady(ctx context.Context, t *topic, perSecond int, seconds float64) (Steady, error) {
	db, err := s.database(ctx)
	if err != nil {
		return Steady{}, err
	}
	defer db.drop()
	result, err := db.steady(ctx, t, perSecond, seconds)
	if err != nil {
		return result, err
	}
	var examined drained
	if err := db.examine(ctx, t.content, &examined); err != nil {
		return result, err
	}
	result.RowsPerTransaction = examined.rowsPerTransaction
	return result, nil
}

func (d *database) steady(ctx context.Context, t *topic, perSecond int, seconds float64) (result Steady, err error) {
	consumer, err := d.consume(t)
	if err != nil {
		return result, err
	}
	defer func() {
		err = errors.Join(err, consumer.Stop(context.Background(), stopTime, syscall.SIGTERM))
	}()
	if err := d.awaitClaims(ctx, t, consumer); err != nil {
		return result, err
	}
	settle()
	wal, err := d.yardstick.WAL(ctx)
	if err != nil {
		return result, err
	}
	events := int64(float64(perSecond) * (seconds + warmUp.Seconds()))
	before := d.stage.spent(consumer.Pid())
	run, err := d.stream(ctx, t, consumer, perSecond, events)
	if err != nil {
		return result, err
	}
	after := d.stage.spent(consumer.Pid())
	walAfter, err := d.yardstick.WAL(ctx)
	if err != nil {
		return result, err
	}
	result = run.result()
	result.Seconds = seconds
	result.Usage = after.since(before, events)
	result.WALBytes = float64(walAfter-wal) / float64(events)
	result.ResidentBytes = residentPeak(consumer.Pid())
	return result, nil
}

// stream sends the events and watches the consumer store them, until it has.
func (d *database) stream(ctx context.Context, t *topic, consumer *process.Process, perSecond int, events int64) (*stream, error) {
	run := &stream{
		rhythm: rhythmAt(perSecond), topic: t, perSecond: perSecond,
		due: make([][]time.Duration, t.partitions), sights: make([][]visible, t.partitions),
	}
	producer, err := kafka.NewProducer(ctx, kafka.ProducerConfig{
		Config: d.stage.kafka(t.name), Linger: run.linger, OnDelivery: run.delivered,
	})
	if err != nil {
		return nil, err
	}
	run.began = time.Now()
	watching, stop := context.WithCancel(ctx)
	watched := make(chan error, 1)
	go func() { watched <- run.observe(watching, d) }()
	err = errors.Join(run.send(ctx, producer, d.stage.options.fleet(), events), producer.Close())
	if err == nil {
		_, err = d.await(ctx, t, consumer, t.offsets())
	}
	stop()
	return run, errors.Join(err, <-watched)
}

// awaitClaims waits until the consumer has all partitions.
func (d *database) awaitClaims(ctx context.Context, t *topic, consumer *process.Process) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		claimed, err := d.yardstick.NextOffsets(ctx, t.id, make([]int64, t.partitions))
		if err != nil || claimed == t.partitions {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-consumer.Done():
			return consumer.Err()
		case <-ticker.C:
		}
	}
}

func (r *stream) at(n int64) time.Duration {
	return time.Duration(float64(n) / float64(r.perSecond) * float64(time.Second))
}

// send sends each event when it is due.
func (r *stream) send(ctx context.Context, producer *kafka.Producer, fleet simulate.Options, events int64) error {
	model, err := simulate.New(fleet)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(sendEvery)
	defer ticker.Stop()
	for n := int64(0); n < events; {
		for passed := time.Since(r.began); n < events && r.at(n) <= passed; n++ {
			event := model.Next(r.began.Add(r.at(n)))
			if producer.Send(event) != nil {
				return nil // Close says why
			}
			r.topic.count(event.Rate)
		}
		select {
		case <-ctx.Done():
			producer.Abandon()
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// delivered notes when the event at an offset was due, which is the time it carries.
func (r *stream) delivered(d kafka.Delivery) {
	if d.Err != nil {
		return // Close says it
	}
	text := d.Value[len(d.Value)-len(`2006-01-02T15:04:05.000000+00:00"}`) : len(d.Value)-len(`"}`)]
	at, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		panic(err) // the simulator's own event
	}
	due := at.Sub(r.began)
	r.due[d.Partition] = append(r.due[d.Partition], due)
	if due >= warmUp {
		r.sent = append(r.sent, time.Since(r.began)-due)
	}
}

// observe notes when which offsets became visible, until the context ends.
func (r *stream) observe(ctx context.Context, d *database) error {
	seen := make([]int64, r.topic.partitions)
	ticker := time.NewTicker(r.look)
	defer ticker.Stop()
	for {
		next, _, err := d.stored(ctx, r.topic)
		at := time.Since(r.began)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for number, offset := range next {
			if offset > seen[number] {
				seen[number] = offset
				r.sights[number] = append(r.sights[number], visible{at, offset})
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// result brings together when each reading was due and when it was first seen.
func (r *stream) result() Steady {
	var samples, all []time.Duration // latencies; and the times at which readings were seen
	var last time.Duration
	for number, due := range r.due {
		offset := int64(0)
		for _, sight := range r.sights[number] {
			for ; offset < min(sight.next, int64(len(due))); offset++ {
				all = append(all, sight.at)
				if due[offset] >= warmUp {
					samples = append(samples, sight.at-due[offset])
				}
			}
		}
		if len(due) > 0 {
			last = max(last, due[len(due)-1])
		}
	}
	slices.Sort(all)
	maxLag, endLag := r.lags(all, last)
	return Steady{
		PerSecond: r.perSecond, Latency: latencyOf(samples), Sent: latencyOf(r.sent), MaxLag: maxLag, EndLag: endLag,
		KeptUp: float64(endLag) <= math.Max(keptUp.Seconds()*float64(r.perSecond), 1),
	}
}

// lags compares how many readings were due with how many were seen, just before more came to be seen and when the last
// was due.
func (r *stream) lags(seen []time.Duration, last time.Duration) (most, end int64) {
	total := int64(len(seen))
	for i, at := range seen {
		if i == 0 || at != seen[i-1] {
			due := min(int64(at.Seconds()*float64(r.perSecond))+1, total)
			most = max(most, due-int64(i))
		}
	}
	stored, _ := slices.BinarySearch(seen, last+1)
	return most, total - int64(stored)
}
