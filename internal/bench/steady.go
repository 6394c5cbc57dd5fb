package bench

import (
	"context"
	"errors"
	"math"
	"slices"
	"syscall"
	"time"

	"heartbeat/internal/bench/procstat"
	"heartbeat/internal/bench/report"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/process"
	"heartbeat/internal/simulate"
)

const (
	// warmUp is the first part of a steady run, which does not count.
	warmUp = time.Second
	// sendEvery is the interval at which due events are sent.
	sendEvery = time.Millisecond
	// keptUp is the lag at the end, in time, up to which a consumer counts as keeping up.
	keptUp = 500 * time.Millisecond
)

// pacing is how often a steady run sends and observes. Producer and observer share the processors with what they measure: longer
// intervals disturb less and add more latency.
type pacing struct {
	linger time.Duration // of the producer
	poll   time.Duration // interval of the observer; measured latencies are too long by up to this
}

// fastRate separates slow from fast pacing, in readings a second.
const fastRate = 50_000

// pacingAt returns the pacing for a rate. From fastRate on it is the producer's default, a small part of the latency there.
func pacingAt(perSecond int) pacing {
	if perSecond < fastRate {
		return pacing{linger: time.Millisecond, poll: 2 * time.Millisecond}
	}
	return pacing{linger: 5 * time.Millisecond, poll: 5 * time.Millisecond}
}

func (p pacing) describe() report.Pacing {
	return report.Pacing{Linger: p.linger.String(), Observe: p.poll.String()}
}

// stream is an open-loop run. Event n is due at began + n/perSecond, has that timestamp, and is sent as soon as possible after
// it, so that delays in the producer count.
type stream struct {
	pacing
	topic     *topic
	began     time.Time
	perSecond int
	due       [][]time.Duration // by partition and offset, since began
	sent      []time.Duration   // from an event's due time to the broker's acknowledgement
	visible   [][]visibility    // by partition
}

// visibility records that the offsets below next were visible at a time.
type visibility struct {
	at   time.Duration // since began
	next int64
}

// steady runs the consumer at one rate with an empty database.
func (e *environment) steady(ctx context.Context, t *topic, perSecond int, seconds float64) (report.Steady, error) {
	db, err := e.database(ctx)
	if err != nil {
		return report.Steady{}, err
	}
	defer db.drop()
	result, err := db.steady(ctx, t, perSecond, seconds)
	if err != nil {
		return result, err
	}
	var examined drainResult
	if err := db.examine(ctx, t.content, &examined); err != nil {
		return result, err
	}
	result.RowsPerTransaction = examined.rowsPerTransaction
	return result, nil
}

func (d *database) steady(ctx context.Context, t *topic, perSecond int, seconds float64) (result report.Steady, err error) {
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
	procstat.Sync()
	wal, err := d.probe.WAL(ctx)
	if err != nil {
		return result, err
	}
	events := int64(float64(perSecond) * (seconds + warmUp.Seconds()))
	before := d.environment.processorTime(consumer.Pid())
	run, err := d.stream(ctx, t, consumer, perSecond, events)
	if err != nil {
		return result, err
	}
	after := d.environment.processorTime(consumer.Pid())
	walAfter, err := d.probe.WAL(ctx)
	if err != nil {
		return result, err
	}
	result = run.result()
	result.Seconds = seconds
	result.Usage = after.since(before, events)
	result.WALBytes = float64(walAfter-wal) / float64(events)
	result.ResidentBytes = procstat.ResidentPeak(consumer.Pid())
	return result, nil
}

// stream sends the events and observes the consumer until all are stored.
func (d *database) stream(ctx context.Context, t *topic, consumer *process.Process, perSecond int, events int64) (*stream, error) {
	run := &stream{
		pacing: pacingAt(perSecond), topic: t, perSecond: perSecond,
		due: make([][]time.Duration, t.partitions), visible: make([][]visibility, t.partitions),
	}
	producer, err := producer.New(ctx, producer.Config{
		Config: d.environment.kafka(t.name), Linger: run.linger, OnDelivery: run.delivered,
	})
	if err != nil {
		return nil, err
	}
	run.began = time.Now()
	observing, stop := context.WithCancel(ctx)
	observed := make(chan error, 1)
	go func() { observed <- run.observe(observing, d) }()
	err = errors.Join(run.send(ctx, producer, d.environment.options.fleet(), events), producer.Close())
	if err == nil {
		_, err = d.await(ctx, t, consumer, t.offsets())
	}
	stop()
	return run, errors.Join(err, <-observed)
}

// awaitClaims waits until the consumer has claimed all partitions.
func (d *database) awaitClaims(ctx context.Context, t *topic, consumer *process.Process) error {
	ticker := time.NewTicker(pollFast)
	defer ticker.Stop()
	for {
		claimed, err := d.probe.NextOffsets(ctx, t.id, make([]int64, t.partitions))
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
func (r *stream) send(ctx context.Context, producer *producer.Producer, fleet simulate.Options, events int64) error {
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
				return nil // Close returns the error
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

// delivered records when the event at an offset was due, which is its timestamp.
func (r *stream) delivered(d producer.Delivery) {
	if d.Err != nil {
		return // Close returns the error
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

// observe records when offsets become visible, until the context ends.
func (r *stream) observe(ctx context.Context, d *database) error {
	seen := make([]int64, r.topic.partitions)
	ticker := time.NewTicker(r.poll)
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
				r.visible[number] = append(r.visible[number], visibility{at, offset})
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// result compares when each reading was due and when it became visible.
func (r *stream) result() report.Steady {
	var samples, all []time.Duration // latencies, and the times at which readings became visible
	var last time.Duration
	for number, due := range r.due {
		offset := int64(0)
		for _, v := range r.visible[number] {
			for ; offset < min(v.next, int64(len(due))); offset++ {
				all = append(all, v.at)
				if due[offset] >= warmUp {
					samples = append(samples, v.at-due[offset])
				}
			}
		}
		if len(due) > 0 {
			last = max(last, due[len(due)-1])
		}
	}
	slices.Sort(all)
	maxLag, endLag := r.lags(all, last)
	return report.Steady{
		PerSecond: r.perSecond, Latency: report.NewLatency(samples), Sent: report.NewLatency(r.sent), MaxLag: maxLag, EndLag: endLag,
		KeptUp: float64(endLag) <= math.Max(keptUp.Seconds()*float64(r.perSecond), 1),
	}
}

// lags compares how many readings were due with how many were visible: the maximum, just before more became visible, and when
// the last was due.
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
