package app

import (
	"context"
	"log/slog"

	"heartbeat/internal/audit"
	"heartbeat/internal/kafka"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/query"
)

// VerifyOptions say what to audit.
type VerifyOptions struct {
	Kafka    kafka.Config // its topic is any: the audit covers every topic that is stored
	Database postgres.Options
	Progress func(string) // is told what is being looked at; may be nil
	Logger   *slog.Logger
}

// Verify audits what is stored against what the broker has.
func Verify(ctx context.Context, options VerifyOptions) (audit.Report, error) {
	pool, err := openDatabase(ctx, options.Database, options.Logger)
	if err != nil {
		return audit.Report{}, err
	}
	defer pool.Close()
	snapshot, err := query.NewAuditSnapshot(ctx, pool)
	if err != nil {
		return audit.Report{}, err
	}
	defer snapshot.Close(context.WithoutCancel(ctx))
	brokers := &auditedBroker{config: options.Kafka, clients: map[string]*kafka.Client{}}
	defer brokers.close()
	return audit.Run(ctx, auditedDatabase{snapshot}, brokers, options.Progress)
}

// auditedDatabase speaks the audit's words for the database.
type auditedDatabase struct{ *query.AuditSnapshot }

func (d auditedDatabase) Logs(ctx context.Context) ([]audit.Log, error) {
	states, err := d.AuditSnapshot.Logs(ctx)
	if err != nil {
		return nil, err
	}
	logs := make([]audit.Log, len(states))
	for i, state := range states {
		logs[i] = audit.Log(state)
	}
	return logs, nil
}

func (d auditedDatabase) Contradictions(ctx context.Context) ([]audit.Problem, error) {
	found, err := d.AuditSnapshot.Contradictions(ctx)
	if err != nil {
		return nil, err
	}
	problems := make([]audit.Problem, len(found))
	for i, c := range found {
		problems[i] = audit.Problem{Promise: "P6", Log: c.Label, Partition: c.Partition, From: c.Offset, To: c.Offset + 1, Detail: c.Detail}
	}
	return problems, nil
}

// auditedBroker speaks the audit's words for the cluster, with a client for each topic that it is asked about.
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

func (b *auditedBroker) Bounds(ctx context.Context, topic string, id [16]byte) (map[int32]audit.Bounds, error) {
	client, err := b.client(ctx, topic)
	if err != nil {
		return nil, err
	}
	state, err := client.TopicState(ctx)
	if kafka.TopicMissing(err) || err == nil && state.ID != id {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	bounds := map[int32]audit.Bounds{}
	for _, partition := range state.Partitions {
		bounds[partition.Number] = audit.Bounds{Start: partition.Start, End: partition.End}
	}
	return bounds, nil
}

func (b *auditedBroker) Scan(ctx context.Context, topic string, partition int32, from, to int64, visit func(int64)) error {
	client, err := b.client(ctx, topic)
	if err != nil {
		return err
	}
	return client.Scan(ctx, partition, from, to, visit)
}
