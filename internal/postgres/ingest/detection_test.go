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

func detectingWorker(store *ingest.Store, limits *alarmstore.LimitCache) *pipeline.Worker {
	logger := slog.New(slog.DiscardHandler)
	return pipeline.NewWorker(pipeline.Options{
		Partition: pgtest.Partition, Store: store, Meter: pipeline.NewMeter(logger, prometheus.NewRegistry()), Logger: logger,
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
		worker := detectingWorker(store, limits)
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
	id := detect.Source{Log: pgtest.Partition.Topic, Partition: pgtest.Partition.Number}.AlarmID(21, detect.RateHigh).String()
	pgtest.WantRows(t, pool, `
SELECT e.alarm_id::text, a.subject, a.condition, e.kind, e.version, e.kafka_topic, e.kafka_partition, e.kafka_offset
  FROM alarm_events AS e JOIN alarms AS a USING (alarm_id) ORDER BY e.version`,
		id+` CUST_00007 rate_high raised 1 heartbeat-events 2 21`,
		id+` CUST_00007 rate_high cleared 2 heartbeat-events 2 37`,
		id+` CUST_00007 rate_high recurred 3 heartbeat-events 2 53`)
	pgtest.WantRows(t, pool, `SELECT count(*) FROM detector_states WHERE customer_id = 'CUST_00007'`, `1`)
}
