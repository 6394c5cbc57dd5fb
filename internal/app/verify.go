package app

import (
	"context"
	"fmt"
	"log/slog"

	"heartbeat/internal/alarm"
	"heartbeat/internal/audit"
	"heartbeat/internal/kafka"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/progress"
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
	options.Database.KeepReadOnly = true
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

// auditedDatabase translates the database's values for the audit.
type auditedDatabase struct{ *query.AuditSnapshot }

func (d auditedDatabase) Logs(ctx context.Context) ([]audit.Log, error) {
	rows, err := d.Progress(ctx)
	if err != nil {
		return nil, err
	}
	all, err := d.Dropped(ctx)
	if err != nil {
		return nil, err
	}
	type key struct {
		log       string
		partition int32
	}
	dropped := map[key]int64{}
	for _, d := range all {
		dropped[key{d.Log, d.Partition}] = d.Rows
	}
	logs := []audit.Log{}
	for _, p := range progress.Compare(nil, rows) {
		logs = append(logs, audit.Log{
			Topic: p.Topic, TopicID: p.TopicID, Label: p.Log, Partition: p.Partition, Current: p.Current, First: p.First, Next: p.Next,
			Records: p.Records, Anomalies: p.Anomalies, DeadLettered: p.DeadLettered, Skipped: p.Skipped, Lost: p.Lost,
			Dropped: dropped[key{p.Log, p.Partition}],
		})
	}
	return logs, nil
}

func (d auditedDatabase) Contradictions(ctx context.Context) ([]audit.Problem, error) {
	found, err := d.AuditSnapshot.Contradictions(ctx)
	if err != nil {
		return nil, err
	}
	alarms, err := d.AlarmContradictions(ctx)
	if err != nil {
		return nil, err
	}
	all := append(problems("P6", found), problems("P11", alarms)...)
	err = alarmstore.CompareHistory(ctx, d.Tx(), func(stored alarm.Alarm, detail string) {
		all = append(all, audit.Problem{
			Promise: "P11", Log: stored.Log, Partition: stored.Partition, From: stored.Offset, To: stored.Offset + 1,
			Detail: fmt.Sprintf("alarm %s, %s of %s: %s", stored.ID, stored.Condition, stored.Subject, detail),
		})
	})
	return all, err
}

func problems(promise string, found []query.Contradiction) []audit.Problem {
	problems := make([]audit.Problem, len(found))
	for i, c := range found {
		problems[i] = audit.Problem{Promise: promise, Log: c.Label, Partition: c.Partition, From: c.Offset, To: c.Offset + 1, Detail: c.Detail}
	}
	return problems
}

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
