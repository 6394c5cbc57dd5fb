package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/simulate"
)

// truthLog writes the simulated episodes as JSON lines to a file, a topic or both, in the background: a slow topic must
// not hold up the readings. A nil truthLog writes nothing.
type truthLog struct {
	episodes  chan simulate.Episode
	file      *os.File
	publisher *producer.Publisher
	failed    context.CancelCauseFunc // ends the sending
	done      chan error              // gets the outcome when all is written
}

const truthBatch = 256 // episodes published together at most

// openTruthLog starts an empty file and connects to the topic, as the options of the physiological model say.
func openTruthLog(ctx context.Context, options Options, failed context.CancelCauseFunc) (*truthLog, error) {
	if options.Physiology == nil || options.Physiology.TruthPath == "" && options.Physiology.TruthTopic == "" {
		return nil, nil
	}
	l := &truthLog{episodes: make(chan simulate.Episode, truthBatch), failed: failed, done: make(chan error, 1)}
	var err error
	if path := options.Physiology.TruthPath; path != "" {
		if l.file, err = os.Create(path); err != nil {
			return nil, fmt.Errorf("create truth file: %w", err)
		}
	}
	if topic := options.Physiology.TruthTopic; topic != "" {
		config := options.Kafka
		config.Topic, config.Registry = topic, nil // the metrics are those of the readings
		l.publisher, err = producer.NewPublisher(ctx, producer.PublisherConfig{
			Config: config, Compression: options.Compression,
		})
		if err != nil {
			if l.file != nil {
				_ = l.file.Close() // nothing is written yet
			}
			return nil, fmt.Errorf("open truth topic: %w", err)
		}
	}
	go l.run()
	return l, nil
}

// add queues an episode. It blocks while the queue is full.
func (l *truthLog) add(episode simulate.Episode) {
	if l != nil {
		l.episodes <- episode
	}
}

// run writes until the queue is closed. After an error it only drains the queue.
func (l *truthLog) run() {
	var failure error
	for episode := range l.episodes {
		batch := []simulate.Episode{episode}
		for len(batch) < truthBatch && len(l.episodes) > 0 {
			batch = append(batch, <-l.episodes)
		}
		if failure == nil {
			if failure = l.write(batch); failure != nil {
				l.failed(failure)
			}
		}
	}
	l.done <- failure
}

func (l *truthLog) write(batch []simulate.Episode) error {
	var lines []byte
	messages := make([]producer.Message, len(batch))
	for i, episode := range batch {
		line, err := json.Marshal(episode)
		if err != nil {
			return fmt.Errorf("encode truth: %w", err)
		}
		lines = append(append(lines, line...), '\n')
		messages[i] = producer.Message{Key: []byte(truthKey(episode)), Value: line, Time: episode.Onset}
	}
	if l.file != nil {
		if _, err := l.file.Write(lines); err != nil {
			return fmt.Errorf("write truth file: %w", err)
		}
	}
	if l.publisher != nil {
		if err := l.publisher.Publish(context.Background(), messages...); err != nil { // bounded by the delivery timeout
			return fmt.Errorf("write truth: %w", err)
		}
	}
	return nil
}

// truthKey puts the truth about a customer into one partition, in order.
func truthKey(episode simulate.Episode) string {
	if episode.Customer == 0 {
		return episode.Kind.String()
	}
	return episode.Customer.String()
}

// close waits until every episode is written or given up after drainTimeout. No add may follow.
func (l *truthLog) close() (err error) {
	if l == nil {
		return nil
	}
	close(l.episodes)
	if l.publisher != nil {
		abandon := time.AfterFunc(drainTimeout, l.publisher.Abandon)
		defer abandon.Stop()
	}
	err = <-l.done
	if l.publisher != nil {
		l.publisher.Close()
	}
	if l.file != nil {
		if closeErr := l.file.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close truth file: %w", closeErr)
		}
	}
	return err
}
