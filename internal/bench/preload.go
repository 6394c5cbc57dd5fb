package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/simulate"
)

// fleet is the contract's, over as many customers as the run has.
func (o Options) fleet() simulate.Options {
	return simulate.Options{Customers: o.Customers, AnomalyRate: 0.05, InvalidRate: 0.005, Seed: 1}
}

// topic creates a topic and finds out what it is. Its name is as long as heartbeat-events, for every row has it.
func (s *stage) topic(ctx context.Context) (*topic, error) {
	s.topics++
	t := &topic{name: fmt.Sprintf("%s_%02d", s.prefix, s.topics)}
	client, err := kafka.Connect(ctx, s.kafka(t.name))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := client.EnsureTopic(ctx); err != nil {
		return nil, err
	}
	state, err := awaitTopic(ctx, client)
	if err != nil {
		return nil, err
	}
	t.id, t.partitions = state.ID, len(state.Partitions)
	return t, nil
}

const (
	topicTimeout = 10 * time.Second
	topicEvery   = 100 * time.Millisecond
)

// awaitTopic waits until a topic that was just created is known everywhere.
func awaitTopic(ctx context.Context, client *kafka.Client) (kafka.TopicState, error) {
	ctx, cancel := context.WithTimeout(ctx, topicTimeout)
	defer cancel()
	ticker := time.NewTicker(topicEvery)
	defer ticker.Stop()
	for {
		state, err := client.TopicState(ctx)
		if err == nil {
			return state, nil
		}
		select {
		case <-ctx.Done():
			return state, err
		case <-ticker.C:
		}
	}
}

// load says what to send to a topic, as fast as it is taken.
type load struct {
	fleet  simulate.Options
	events int64
	keep   bool      // the topic remembers the readings as they are to be stored
	from   time.Time // of the first event, each of the others is dated so much after the one before; zero dates them with now
	every  time.Duration
}

func (l load) date(n int64) time.Time {
	if l.from.IsZero() {
		return time.Now()
	}
	return l.from.Add(time.Duration(n) * l.every)
}

// preload adds events to the topic.
func (s *stage) preload(ctx context.Context, t *topic, load load) error {
	config := kafka.ProducerConfig{Config: s.kafka(t.name)}
	if load.keep {
		t.readings = make([][]pipeline.Reading, t.partitions)
		config.OnDelivery = t.keep(time.Now())
	}
	model, err := simulate.New(load.fleet)
	if err != nil {
		return err
	}
	producer, err := kafka.NewProducer(ctx, config)
	if err != nil {
		return err
	}
	for n := range load.events {
		event := model.Next(load.date(n))
		if err := producer.Send(event); err != nil {
			break // Close says why
		}
		if t.count(event.Rate); ctx.Err() != nil {
			producer.Abandon()
			break
		}
	}
	if err := producer.Close(); err != nil {
		return err
	}
	return ctx.Err()
}

// count adds an event to what a database must hold in the end.
func (t *topic) count(rate heartbeat.BPM) {
	if class, _ := heartbeat.Classify(float64(rate)); class.Anomaly() {
		t.content.Anomalies++
		t.content.Alerts++
	} else {
		t.content.Records++
	}
}

// keep returns the callback that remembers what was sent, read back from the wire's form.
func (t *topic) keep(kafkaTime time.Time) func(kafka.Delivery) {
	var decoder heartbeat.Decoder
	return func(d kafka.Delivery) {
		if d.Err != nil {
			return // Close says it
		}
		reading, rejection := decoder.Decode(heartbeat.Record{Value: d.Value, Timestamp: kafkaTime})
		if rejection != nil {
			panic(fmt.Sprintf("the simulator's own event was rejected: %v", rejection))
		}
		kept := pipeline.Reading{Reading: reading, Offset: d.Offset}
		if reading.Class.Anomaly() {
			kept.Raw = slices.Clone(d.Value)
		}
		t.readings[d.Partition] = append(t.readings[d.Partition], kept)
	}
}
