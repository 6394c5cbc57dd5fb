package ingest_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/postgres/pgtest"
)

func detectingWorker(store *ingest.Store, limits *alarmstore.LimitCache, partition pipeline.Partition) *pipeline.Worker {
	logger := slog.New(slog.DiscardHandler)
	return pipeline.NewWorker(pipeline.Options{
		Partition: partition, Store: store, Meter: pipeline.NewMeter(logger, prometheus.NewRegistry()), Logger: logger,
		Detection: &pipeline.Detection{Settings: detect.DefaultSettings(), Limits: limits, Store: store},
	})
}

// An alarm of which each part is judged by another owner is the alarm of an unbroken run, and so are its history and its id.
func TestAlarmsSurviveTheirOwners(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	limits := alarmstore.NewLimitCache(pool, detect.DefaultLimits())
	log := pipeline.LogBounds{End: 1000}
	var records []heartbeat.Record
	for _, stretch := range []struct{ bpm, count int }{{80, 10}, {150, 3}, {168, 3}, {186, 12}, {165, 16}, {178, 4}, {186, 9}} {
		for range stretch.count {
			offset := int64(len(records))
			at := pgtest.Noon.Add(time.Duration(offset) * 5 * time.Second).Truncate(time.Millisecond)
			event := heartbeat.Event{Customer: 7, Rate: heartbeat.BPM(stretch.bpm), Time: at}
			records = append(records, heartbeat.Record{Offset: offset, Timestamp: at, Value: event.AppendJSON(nil)})
		}
	}
	for at := int64(0); at < int64(len(records)); {
		worker := detectingWorker(store, limits, pgtest.Partition)
		if _, err := worker.Claim(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		from, err := worker.Reconcile(t.Context(), log)
		if err != nil {
			t.Fatal(err)
		}
		at = min(at+3, int64(len(records)))
		if err := worker.Process(t.Context(), records[from:at]); err != nil {
			t.Fatal(err)
		}
		if at%2 == 0 {
			if err := worker.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	id := detect.Source{Log: pgtest.Partition.Topic, Partition: pgtest.Partition.Number}.AlarmID(20, detect.RateHigh).String()
	pgtest.WantRows(t, pool, `
SELECT e.alarm_id::text, a.subject, a.condition, e.kind, e.version, e.kafka_topic, e.kafka_partition, e.kafka_offset
  FROM alarm_events AS e JOIN alarms AS a USING (alarm_id) ORDER BY e.version`,
		id+` CUST_00007 rate_high raised 1 heartbeat-events 2 20`,
		id+` CUST_00007 rate_high cleared 2 heartbeat-events 2 36`,
		id+` CUST_00007 rate_high recurred 3 heartbeat-events 2 52`)
	pgtest.WantRows(t, pool, `SELECT count(*) FROM detector_states WHERE customer_id = 'CUST_00007'`, `1`)
}

// partitionLog is one partition with a worker and records in memory.
type partitionLog struct {
	pipeline.Partition
	worker  *pipeline.Worker
	records []heartbeat.Record
}

// send stores readings of customer 7, one each five seconds.
func (l *partitionLog) send(t *testing.T, from time.Time, rate, count int) time.Time {
	t.Helper()
	first := len(l.records)
	for range count {
		event := heartbeat.Event{Customer: 7, Rate: heartbeat.BPM(rate), Time: from}
		l.records = append(l.records, heartbeat.Record{Offset: int64(len(l.records)), Timestamp: from, Value: event.AppendJSON(nil)})
		from = from.Add(5 * time.Second)
	}
	if err := l.worker.Process(t.Context(), l.records[first:]); err != nil {
		t.Fatal(err)
	}
	return from
}

// claim gives the partition to a worker that knows nothing, and lets it replay what it must.
func (l *partitionLog) claim(t *testing.T, store *ingest.Store, limits *alarmstore.LimitCache) {
	t.Helper()
	l.worker = detectingWorker(store, limits, l.Partition)
	if _, err := l.worker.Claim(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	from, err := l.worker.Reconcile(t.Context(), pipeline.LogBounds{End: int64(len(l.records))})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.worker.Process(t.Context(), l.records[from:]); err != nil {
		t.Fatal(err)
	}
}

// After a change of the number of partitions, a customer's readings come from another one. The owner of the former partition may not
// have stored the customer's state yet, and may store it when it is no longer the newest.
func TestAlarmsFollowACustomerToAnotherPartition(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                    string
		beforehand, after, lost bool // when the former owner stores its states
	}{
		{"states stored before", true, false, false},
		{"states stored late", false, true, false},
		{"former owner killed", false, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			store, pool := pgtest.NewStore(t)
			limits := alarmstore.NewLimitCache(pool, detect.DefaultLimits())
			former, next := &partitionLog{Partition: pgtest.Partition}, &partitionLog{Partition: pgtest.Partition}
			next.Number++
			former.claim(t, store, limits)
			next.claim(t, store, limits)
			flush := func(l *partitionLog) {
				if err := l.worker.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}

			at := pgtest.Noon.Truncate(time.Millisecond)
			for _, rate := range []int{150, 168, 186, 186, 186} {
				at = former.send(t, at, rate, 3)
			}
			if test.beforehand {
				flush(former)
			}
			at = next.send(t, at, 186, 4)
			at = next.send(t, at, 168, 3)
			flush(next)
			if test.after {
				flush(former)
			}
			if test.lost {
				former.claim(t, store, limits)
				flush(former)
			}
			next.claim(t, store, limits)
			next.send(t, at, 165, 9)

			pgtest.WantRows(t, pool, `SELECT kafka_partition, kafka_offset FROM detector_states`, `3 7`)
			pgtest.WantRows(t, pool, `SELECT kind, version, kafka_partition FROM alarm_events ORDER BY recorded_at`,
				`raised 1 2`, `cleared 2 3`)
			pgtest.WantRows(t, pool, `SELECT count(*) FROM alarms`, `1`)
		})
	}
}
