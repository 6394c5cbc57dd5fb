package ingest_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/postgres/pgtest"
)

// alarmSystem is the product with alarms, without Kafka: workers on logs in memory, the database, and the store that operators use.
type alarmSystem struct {
	pool   *pgxpool.Pool
	store  *ingest.Store
	alarms *alarmstore.Store
	limits *freshLimits
	topic  pipeline.Partition // with number 0
	logs   [2][]heartbeat.Record
	kept   [2]int64 // retention has dropped the offsets below
	next   [2]int64 // up to where the worker has been given the log
	worker [2]*pipeline.Worker
	faults [2]*fault

	refused [2]map[int64]bool // offsets that the database refuses
}

func newAlarmSystem(t testing.TB) *alarmSystem {
	store, pool := pgtest.NewStore(t)
	alarms := alarmstore.New(pool)
	return &alarmSystem{pool: pool, store: store, alarms: alarms, limits: &freshLimits{store: alarms}}
}

// freshLimits reads the limits after each change: here time passes faster than a LimitCache polls.
type freshLimits struct {
	store   *alarmstore.Store
	history *detect.LimitHistory // nil: changed since
}

func (l *freshLimits) Current(ctx context.Context) (*detect.LimitHistory, error) {
	if l.history == nil {
		limits, members, _, err := l.store.LimitHistory(ctx)
		if err != nil {
			return nil, err
		}
		if l.history, err = detect.NewLimitHistory(detect.DefaultLimits(), limits, members); err != nil {
			return nil, err
		}
	}
	return l.history, nil
}

// start begins with a new topic.
func (s *alarmSystem) start(ctx context.Context, topic pipeline.Partition) error {
	s.topic, s.logs, s.kept, s.next, s.refused = topic, [2][]heartbeat.Record{}, [2]int64{}, [2]int64{}, [2]map[int64]bool{{}, {}}
	for p := range s.logs {
		if err := s.claim(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// claim gives a partition to a new worker, which knows nothing of the earlier one.
func (s *alarmSystem) claim(ctx context.Context, p int) error {
	logger := slog.New(slog.DiscardHandler)
	own := s.topic
	own.Number = int32(p)
	store := &fault{Store: s.store, refused: s.refused[p]}
	worker := pipeline.NewWorker(pipeline.Options{
		Partition: own, Store: store, Meter: pipeline.NewMeter(logger, prometheus.NewRegistry()), Logger: logger,
		Detection: &pipeline.Detection{Settings: detect.DefaultSettings(), Limits: s.limits, Store: s.store},
	})
	if _, err := worker.Claim(ctx, 0); err != nil {
		return err
	}
	from, err := worker.Reconcile(ctx, pipeline.LogBounds{Start: s.kept[p], End: int64(len(s.logs[p]))})
	if err != nil {
		return err
	}
	s.worker[p], s.faults[p], s.next[p] = worker, store, from
	return nil
}

// process gives the worker of a partition what the log has, size records at a time. A new worker begins where it must.
func (s *alarmSystem) process(ctx context.Context, p int, size int64) error {
	for end := int64(len(s.logs[p])); s.next[p] < end; {
		worker, to := s.worker[p], min(s.next[p]+size, end)
		if err := worker.Process(ctx, s.logs[p][s.next[p]:to]); err != nil {
			return err
		}
		if s.worker[p] == worker {
			s.next[p] = to
		}
	}
	return nil
}

// fault is a store that fails once, or refuses a reading always.
type fault struct {
	*ingest.Store
	refused map[int64]bool
	once    func(write func() error) error // nil: none
}

func (f *fault) Write(ctx context.Context, claim pipeline.Claim, batch *pipeline.Batch) error {
	for _, reading := range batch.Readings {
		if f.refused[reading.Offset] {
			return &pipeline.Fault{Kind: pipeline.BadData, Err: errors.New("value out of range")}
		}
	}
	write := func() error { return f.Store.Write(ctx, claim, batch) }
	if once := f.once; once != nil {
		f.once = nil
		return once(write)
	}
	return write()
}

// What can happen to a batch of a partition. Each is a fault of one write.
var faults = []string{
	"none", "killed before the commit", "killed after the commit", "unknown and committed", "unknown and not committed", "claimed before the commit",
	"claimed after the commit",
}

// fail lets the next write of a partition end with a fault. Kill ends the worker's context.
func (s *alarmSystem) fail(ctx context.Context, p int, name string, kill context.CancelFunc) {
	lost := &pipeline.Fault{Kind: pipeline.OutcomeUnknown, Err: errors.New("connection reset")}
	old := s.faults[p]
	switch name {
	case "killed before the commit":
		old.once = func(func() error) error { kill(); return lost }
	case "killed after the commit":
		old.once = func(write func() error) error { return errors.Join(write(), cancelled(kill), lost) }
	case "unknown and committed":
		old.once = func(write func() error) error { return errors.Join(write(), lost) }
	case "unknown and not committed":
		old.once = func(func() error) error { return lost }
	case "claimed before the commit":
		old.once = func(write func() error) error { return errors.Join(s.claim(ctx, p), write()) }
	case "claimed after the commit":
		old.once = func(write func() error) error { return errors.Join(write(), s.claim(ctx, p)) }
	}
}

func cancelled(kill context.CancelFunc) error { kill(); return nil }

// stored returns all alarms of some customers.
func (s *alarmSystem) stored(ctx context.Context, subjects []string) ([]alarm.Alarm, error) {
	rows, err := s.pool.Query(ctx, `SELECT alarm_id FROM alarms WHERE subject = ANY ($1)`, subjects)
	if err != nil {
		return nil, err
	}
	var ids []alarm.ID
	for rows.Next() {
		var id alarm.ID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return s.alarms.Alarms(ctx, ids)
}
