// Package storedlog reads the logs that are stored: their progress in the database, and their records as far as Kafka still has them.
// It audits them, and runs the detector over them again: `heartbeat verify`, `limits try` and `evaluate --stored` use it.
//
// It writes nothing. Everything that it reads from the database is one snapshot, taken by Open.
//
// Logs belong to one goroutine. It stands behind the path of a reading.
package storedlog

import (
	"context"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/audit"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/query"
)

// Logs are the stored logs at one moment.
type Logs struct {
	snapshot *query.AuditSnapshot
	brokers  *auditedBroker
}

// Open takes the snapshot. The configuration's topic is any: the logs name their own.
func Open(ctx context.Context, pool *postgres.Pool, config kafka.Config) (*Logs, error) {
	snapshot, err := query.NewAuditSnapshot(ctx, pool)
	if err != nil {
		return nil, err
	}
	return &Logs{snapshot: snapshot, brokers: &auditedBroker{config: config, clients: map[string]*kafka.Client{}}}, nil
}

// Close lets the snapshot go and disconnects from Kafka.
func (l *Logs) Close() {
	l.brokers.close()
	l.snapshot.Close(context.Background())
}

// AlarmEvents visits the events of alarms that readings caused before a time, by subject and condition, each in the order of time.
func (l *Logs) AlarmEvents(ctx context.Context, until time.Time, visit func(*alarm.Event)) error {
	events, err := alarmstore.EventsUntil(ctx, l.snapshot.Tx(), until)
	if err != nil {
		return err
	}
	for event, ok := events.Next(); ok; event, ok = events.Next() {
		visit(&event)
	}
	return events.Close()
}

// Records visits all records that Kafka has of any topic, partition by partition.
func (l *Logs) Records(ctx context.Context, topic string, visit func(*heartbeat.Record)) error {
	client, err := l.brokers.client(ctx, topic)
	if err != nil {
		return err
	}
	held, err := client.Topic(ctx)
	if err != nil {
		return err
	}
	for partition, bounds := range held.Partitions {
		if err := client.Records(ctx, partition, bounds.Start, bounds.End, visit); err != nil {
			return err
		}
	}
	return nil
}

// Audit compares what is stored with what the broker has. progress is told what is being looked at; it may be nil.
func (l *Logs) Audit(ctx context.Context, progress func(string)) (audit.Report, error) {
	return audit.Run(ctx, auditedDatabase{l.snapshot}, l.brokers, progress)
}
