package storedlog

import (
	"context"
	"fmt"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/alarmreplay"
	"heartbeat/internal/audit"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/postgres/alarmstore"
)

// Between bounds the Kafka timestamps that are replayed, [From, To). A zero time is no bound.
type Between struct{ From, To time.Time }

// Replay runs the detector over what Kafka still has of the logs, up to what is stored. progress is told what is being read; it may
// be nil.
func (l *Logs) Replay(ctx context.Context, replay *alarmreplay.Replay, between Between, progress func(string)) error {
	logs, err := auditedDatabase{l.snapshot}.Logs(ctx)
	if err != nil {
		return err
	}
	r := &replaying{Replay: replay, logs: l, between: between, progress: progress}
	for _, log := range logs {
		if err := r.partition(ctx, log, recreated(log, logs)); err != nil {
			return err
		}
	}
	return nil
}

// replaying is one replay.
type replaying struct {
	*alarmreplay.Replay
	logs     *Logs
	between  Between
	progress func(string)
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

func (r *replaying) partition(ctx context.Context, log audit.Log, recreated bool) error {
	bounds, err := r.logs.brokers.Bounds(ctx, log.Topic, log.TopicID)
	if err != nil {
		return err
	}
	b, ok := bounds[log.Partition]
	if !ok || !log.Current {
		return nil
	}
	from, to, err := r.narrow(ctx, log, max(log.First, b.Start), min(log.Next, b.End))
	if err != nil || from >= to {
		return err
	}
	if r.progress != nil {
		r.progress(fmt.Sprintf("%s partition %d: alarms of offsets %d to %d", log.Label, log.Partition, from, to-1))
	}
	part := alarmreplay.Log{Label: log.Label, Partition: log.Partition, Complete: from <= log.First && !recreated}
	if part.Dead, err = r.logs.snapshot.DeadLetterOffsets(ctx, log.Label, log.Partition, from, to); err != nil {
		return err
	}
	if !part.Complete {
		if part.Before, err = alarmstore.LatestBefore(ctx, r.logs.snapshot.Tx(), log.Label, log.Partition, from); err != nil {
			return err
		}
	}
	events, err := alarmstore.EventsOfLog(ctx, r.logs.snapshot.Tx(), log.Label, log.Partition, from, to)
	if err != nil {
		return err
	}
	part.Next = func() (alarm.Event, bool) { return events.Next() }
	err = r.records(ctx, part, log, from, to)
	if closed := events.Close(); err == nil {
		err = closed
	}
	return err
}

// narrow narrows offsets to the Kafka timestamps that are replayed.
func (r *replaying) narrow(ctx context.Context, log audit.Log, from, to int64) (int64, int64, error) {
	if r.between == (Between{}) {
		return from, to, nil
	}
	client, err := r.logs.brokers.client(ctx, log.Topic)
	if err != nil {
		return 0, 0, err
	}
	if !r.between.From.IsZero() {
		first, err := client.OffsetsAfter(ctx, r.between.From)
		if err != nil {
			return 0, 0, err
		}
		from = max(from, first[log.Partition])
	}
	if !r.between.To.IsZero() {
		end, err := client.OffsetsAfter(ctx, r.between.To)
		if err != nil {
			return 0, 0, err
		}
		to = min(to, end[log.Partition])
	}
	return from, to, nil
}

func (r *replaying) records(ctx context.Context, part alarmreplay.Log, log audit.Log, from, to int64) error {
	partition, err := r.Begin(part)
	if err != nil {
		return err
	}
	client, err := r.logs.brokers.client(ctx, log.Topic)
	if err != nil {
		return err
	}
	if err := client.Records(ctx, log.Partition, from, to, func(record *heartbeat.Record) { partition.Step(record) }); err != nil {
		return err
	}
	partition.End()
	return nil
}
