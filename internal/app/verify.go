package app

import (
	"context"
	"fmt"
	"log/slog"

	"heartbeat/internal/alarm"
	"heartbeat/internal/alarmreplay"
	"heartbeat/internal/audit"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
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
	Replay   bool         // also run the detector over what the topic holds, and compare
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
	report, err := audit.Run(ctx, auditedDatabase{snapshot}, brokers, options.Progress)
	if err != nil || !options.Replay {
		return report, err
	}
	limits, err := alarmstore.NewLimitCache(pool, detect.DefaultLimits()).Current(ctx)
	if err != nil {
		return report, err
	}
	return report, (&alarmReplay{snapshot: snapshot, brokers: brokers, limits: limits, progress: options.Progress}).run(ctx, &report)
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

// alarmReplay runs the detector over what Kafka still has of the logs in a snapshot, up to what is stored.
type alarmReplay struct {
	snapshot *query.AuditSnapshot
	brokers  *auditedBroker
	limits   *detect.LimitHistory
	progress func(string)
}

// run adds to a report what the replay finds.
func (r *alarmReplay) run(ctx context.Context, report *audit.Report) error {
	replay := alarmreplay.New(detect.DefaultSettings(), r.limits)
	for _, log := range report.Logs {
		if err := r.partition(ctx, replay, log, recreated(log, report.Logs)); err != nil {
			return err
		}
	}
	found, more := replay.Differences()
	for _, d := range found {
		report.Add(audit.Problem{Promise: "P11", Log: d.Log, Partition: d.Partition, From: d.Offset, To: d.Offset + 1, Detail: d.Detail})
	}
	report.Omitted += int(more)
	all, undecided := replay.Customers()
	report.Replay = &audit.Replay{
		Readings: replay.Readings, Transitions: replay.Transitions, Customers: all, Undecided: undecided, Undetected: []audit.Undetected{},
	}
	for _, g := range replay.Gaps() {
		report.Replay.Undetected = append(report.Replay.Undetected, audit.Undetected{
			Log: g.Log, Partition: g.Partition, From: g.From, To: g.To + 1, Transitions: g.Transitions,
		})
	}
	return nil
}

// recreated reports whether a log follows another one of its topic's name, whose readings the detector's states contain.
func recreated(log audit.Log, all []audit.Log) bool {
	for _, other := range all {
		if other.Topic == log.Topic && other.Label != log.Label {
			return true
		}
	}
	return false
}

func (r *alarmReplay) partition(ctx context.Context, replay *alarmreplay.Replay, log audit.Log, recreated bool) error {
	bounds, err := r.brokers.Bounds(ctx, log.Topic, log.TopicID)
	if err != nil {
		return err
	}
	b, ok := bounds[log.Partition]
	from, to := max(log.First, b.Start), min(log.Next, b.End)
	if !ok || !log.Current || from >= to {
		return nil
	}
	if r.progress != nil {
		r.progress(fmt.Sprintf("%s partition %d: alarms of offsets %d to %d", log.Label, log.Partition, from, to-1))
	}
	part := alarmreplay.Log{Label: log.Label, Partition: log.Partition, Complete: b.Start <= log.First && !recreated}
	if part.Dead, err = r.snapshot.DeadLetterOffsets(ctx, log.Label, log.Partition, from, to); err != nil {
		return err
	}
	if !part.Complete {
		if part.Before, err = alarmstore.LatestBefore(ctx, r.snapshot.Tx(), log.Label, log.Partition, from); err != nil {
			return err
		}
	}
	events, err := alarmstore.EventsOfLog(ctx, r.snapshot.Tx(), log.Label, log.Partition, from, to)
	if err != nil {
		return err
	}
	part.Next = func() (alarm.Event, bool) { return events.Next() }
	err = r.records(ctx, replay, part, log, from, to)
	if closed := events.Close(); err == nil {
		err = closed
	}
	return err
}

func (r *alarmReplay) records(ctx context.Context, replay *alarmreplay.Replay, part alarmreplay.Log, log audit.Log, from, to int64) error {
	partition, err := replay.Begin(part)
	if err != nil {
		return err
	}
	client, err := r.brokers.client(ctx, log.Topic)
	if err != nil {
		return err
	}
	if err := client.Records(ctx, log.Partition, from, to, func(record *heartbeat.Record) { partition.Step(record) }); err != nil {
		return err
	}
	partition.End()
	return nil
}
