package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/progress"
	"heartbeat/internal/simulate"
)

// fleet returns the contract's simulator settings with the run's number of customers.
func (o Options) fleet() simulate.Options {
	return simulate.Options{Customers: o.Customers, AnomalyRate: 0.05, InvalidRate: 0.005, Seed: 1}
}

// topic creates a topic. Its name is as long as heartbeat-events, because every row contains it.
func (e *environment) topic(ctx context.Context) (*topic, error) {
	e.topics++
	t := &topic{name: fmt.Sprintf("%s_%02d", e.prefix, e.topics)}
	client, err := kafka.Connect(ctx, e.kafka(t.name))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := client.EnsureTopic(ctx); err != nil {
		return nil, err
	}
	described, err := awaitTopic(ctx, client)
	if err != nil {
		return nil, err
	}
	t.id, t.partitions = described.ID, len(described.Partitions)
	return t, nil
}

const (
	topicTimeout = 10 * time.Second
	topicEvery   = 100 * time.Millisecond
)

// awaitTopic waits until the brokers know a new topic.
func awaitTopic(ctx context.Context, client *kafka.Client) (*progress.Topic, error) {
	ctx, cancel := context.WithTimeout(ctx, topicTimeout)
	defer cancel()
	ticker := time.NewTicker(topicEvery)
	defer ticker.Stop()
	for {
		described, err := client.Topic(ctx)
		if err == nil {
			return described, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-ticker.C:
		}
	}
}

// load describes events to send to a topic without a rate limit.
type load struct {
	fleet  simulate.Options
	events int64
	keep   bool          // keep the readings in memory, as they are stored
	from   time.Time     // timestamp of the first event; zero: all events have the current time
	every  time.Duration // between timestamps
}

func (l load) date(n int64) time.Time {
	if l.from.IsZero() {
		return time.Now()
	}
	return l.from.Add(time.Duration(n) * l.every)
}

// preload adds events to the topic.
func (e *environment) preload(ctx context.Context, t *topic, load load) error {
	config := producer.Config{Config: e.kafka(t.name)}
	if load.keep {
		t.readings = make([][]pipeline.Reading, t.partitions)
		config.OnDelivery = t.keep(time.Now())
	}
	model, err := simulate.New(load.fleet)
	if err != nil {
		return err
	}
	producer, err := producer.New(ctx, config)
	if err != nil {
		return err
	}
	for n := range load.events {
		event := model.Next(load.date(n))
		if err := producer.Send(event); err != nil {
			break // Close returns the error
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

// count adds an event to the expected rows.
func (t *topic) count(rate heartbeat.BPM) {
	if class, _ := heartbeat.Classify(float64(rate)); class.Anomaly() {
		t.content.Anomalies++
		t.content.Alerts++
	} else {
		t.content.Records++
	}
}

// keep returns a callback that keeps the readings that were sent, decoded from the wire format.
func (t *topic) keep(kafkaTime time.Time) func(producer.Delivery) {
	var decoder heartbeat.Decoder
	return func(d producer.Delivery) {
		if d.Err != nil {
			return // Close returns the error
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
