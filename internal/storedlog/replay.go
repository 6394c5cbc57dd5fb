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

// Stretch is what Kafka still has of a partition of a stored log, up to what is stored.
type Stretch struct {
	From, To int64 // offsets, [From, To)
	Cut      bool  // earlier records were stored too, but Kafka no longer has them

	log       audit.Log
	recreated bool
}

// Stretches returns the stretches of all stored logs, without the empty ones that are not cut.
func (l *Logs) Stretches(ctx context.Context, between Between) ([]Stretch, error) {
	logs, err := auditedDatabase{l.snapshot}.Logs(ctx)
	if err != nil {
		return nil, err
	}
	var stretches []Stretch
	for _, log := range logs {
		bounds, err := l.brokers.Bounds(ctx, log.Topic, log.TopicID)
		if err != nil {
			return nil, err
		}
		b, ok := bounds[log.Partition]
		if !ok || !log.Current {
			continue
		}
		stretch := Stretch{From: max(log.First, b.Start), To: min(log.Next, b.End), log: log, recreated: recreated(log, logs)}
		if err := l.narrow(ctx, &stretch, between); err != nil {
			return nil, err
		}
		stretch.Cut = b.Start > log.First && stretch.From == b.Start
		if stretch.From < stretch.To || stretch.Cut {
			stretches = append(stretches, stretch)
		}
	}
	return stretches, nil
}

// narrow narrows a stretch to Kafka timestamps.
func (l *Logs) narrow(ctx context.Context, s *Stretch, between Between) error {
	if between == (Between{}) {
		return nil
	}
	client, err := l.brokers.client(ctx, s.log.Topic)
	if err != nil {
		return err
	}
	if !between.From.IsZero() {
		first, err := client.OffsetsAfter(ctx, between.From)
		if err != nil {
			return err
		}
		s.From = max(s.From, first[s.log.Partition])
	}
	if !between.To.IsZero() {
		end, err := client.OffsetsAfter(ctx, between.To)
		if err != nil {
			return err
		}
		s.To = min(s.To, end[s.log.Partition])
	}
	return nil
}

// Replay runs the detector over stretches. progress is told what is being read; it may be nil.
func (l *Logs) Replay(ctx context.Context, replay *alarmreplay.Replay, stretches []Stretch, progress func(string)) error {
	for i := range stretches {
		s := &stretches[i]
		if s.From >= s.To {
			continue
		}
		if progress != nil {
			progress(fmt.Sprintf("%s partition %d: alarms of offsets %d to %d", s.log.Label, s.log.Partition, s.From, s.To-1))
		}
		if err := l.replay(ctx, replay, s); err != nil {
			return err
		}
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

func (l *Logs) replay(ctx context.Context, replay *alarmreplay.Replay, s *Stretch) (err error) {
	log := s.log
	part := alarmreplay.Log{Label: log.Label, Partition: log.Partition, Complete: s.From <= log.First && !s.recreated}
	if part.Dead, err = l.snapshot.DeadLetterOffsets(ctx, log.Label, log.Partition, s.From, s.To); err != nil {
		return err
	}
	if part.Repeated, err = l.snapshot.RepeatedOffsets(ctx, log.Label, log.Partition, s.From, s.To); err != nil {
		return err
	}
	if !part.Complete {
		if part.Before, err = alarmstore.LatestBefore(ctx, l.snapshot.Tx(), log.Label, log.Partition, s.From); err != nil {
			return err
		}
	}
	events, err := alarmstore.EventsOfLog(ctx, l.snapshot.Tx(), log.Label, log.Partition, s.From, s.To)
	if err != nil {
		return err
	}
	part.Next = func() (alarm.Event, bool) { return events.Next() }
	err = l.records(ctx, replay, part, s)
	if closed := events.Close(); err == nil {
		err = closed
	}
	return err
}

func (l *Logs) records(ctx context.Context, replay *alarmreplay.Replay, part alarmreplay.Log, s *Stretch) error {
	partition, err := replay.Begin(part)
	if err != nil {
		return err
	}
	client, err := l.brokers.client(ctx, s.log.Topic)
	if err != nil {
		return err
	}
	if err := client.Records(ctx, s.log.Partition, s.From, s.To, func(record *heartbeat.Record) { partition.Step(record) }); err != nil {
		return err
	}
	partition.End()
	return nil
}
