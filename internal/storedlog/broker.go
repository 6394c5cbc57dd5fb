package storedlog

import (
	"context"

	"heartbeat/internal/kafka"
	"heartbeat/internal/progress"
)

// auditedBroker translates the cluster's values for the audit, with a client for each topic.
type auditedBroker struct {
	config  kafka.Config
	clients map[string]*kafka.Client
}

func (b *auditedBroker) client(ctx context.Context, topic string) (*kafka.Client, error) {
	if client, ok := b.clients[topic]; ok {
		return client, nil
	}
	config := b.config
	config.Topic = topic
	client, err := kafka.Connect(ctx, config)
	if err == nil {
		b.clients[topic] = client
	}
	return client, err
}

func (b *auditedBroker) close() {
	for _, client := range b.clients {
		client.Close()
	}
}

func (b *auditedBroker) Bounds(ctx context.Context, topic string, id [16]byte) (map[int32]progress.Bounds, error) {
	client, err := b.client(ctx, topic)
	if err != nil {
		return nil, err
	}
	current, err := client.Topic(ctx)
	if kafka.TopicMissing(err) || err == nil && current.ID != id {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return current.Partitions, nil
}

func (b *auditedBroker) Scan(ctx context.Context, topic string, partition int32, from, to int64, visit func(int64)) error {
	client, err := b.client(ctx, topic)
	if err != nil {
		return err
	}
	return client.Scan(ctx, partition, from, to, visit)
}
