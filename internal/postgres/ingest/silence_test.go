package ingest_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/silence"
)

// quietLog is a log whose Kafka timestamps pass faster than the clock.
type quietLog struct {
	records []heartbeat.Record
	at      time.Time
}

// add adds a reading of each customer each five seconds.
func (l *quietLog) add(rounds int, customers ...heartbeat.CustomerID) {
	for i := range rounds {
		l.at = l.at.Add(5 * time.Second)
		for _, customer := range customers {
			event := heartbeat.Event{Customer: customer, Rate: heartbeat.BPM(70 + i%4), Time: l.at}
			l.records = append(l.records, heartbeat.Record{Offset: int64(len(l.records)), Timestamp: l.at, Value: event.AppendJSON(nil)})
		}
	}
}

// watch lets a worker store what it lacks and look for silence. It returns where the next one goes on.
func (l *quietLog) watch(t *testing.T, w *pipeline.Worker, from int) int {
	t.Helper()
	if len(l.records) > from {
		if err := w.Process(t.Context(), l.records[from:]); err != nil {
			t.Fatal(err)
		}
	}
	if reached, err := w.Watch(t.Context(), int64(len(l.records)), time.Now()); err != nil || !reached {
		t.Fatalf("watch: reached %t, %v", reached, err)
	}
	return len(l.records)
}

func watchingWorker(t *testing.T, store pipeline.Store, detection *ingest.Store, limits *alarmstore.LimitCache, end int) (w *pipeline.Worker, from int) {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	w = pipeline.NewWorker(pipeline.Options{
		Partition: pgtest.Partition, Store: store, Meter: pipeline.NewMeter(logger, prometheus.NewRegistry()), Logger: logger,
		Detection: &pipeline.Detection{Settings: detect.DefaultSettings(), Limits: limits, Store: detection, Watch: true},
	})
	if _, err := w.Claim(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	offset, err := w.Reconcile(t.Context(), pipeline.LogBounds{End: int64(end)})
	if err != nil {
		t.Fatal(err)
	}
	return w, int(offset)
}

const silenceHistory = `
SELECT a.subject, a.condition, e.kind, e.priority, e.kafka_offset, extract(epoch FROM e.at - a.raised_at)::integer
  FROM alarm_events AS e JOIN alarms AS a USING (alarm_id) ORDER BY e.recorded_at, a.subject, e.version`

// An unknown commit, restarts of the consumer and a customer of whom no further record comes leave one silence, and its end.
func TestSilenceIsStoredOnce(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	limits := alarmstore.NewLimitCache(pool, detect.DefaultLimits())
	log := quietLog{at: pgtest.Noon.Truncate(time.Second)}
	log.add(30, 1, 2)
	uncertain := &fault{Store: store}
	w, from := watchingWorker(t, uncertain, store, limits, len(log.records))
	at := log.watch(t, w, from)
	log.add(12, 2)
	at = log.watch(t, w, at)
	pgtest.WantRows(t, pool, silenceHistory, []string{}...)

	log.add(1, 2)
	if err := w.Process(t.Context(), log.records[at:]); err != nil {
		t.Fatal(err)
	}
	failed := 0
	uncertain.once = func(write func() error) error {
		failed++
		if err := write(); err != nil {
			return err
		}
		return &pipeline.Fault{Kind: pipeline.OutcomeUnknown, Err: fmt.Errorf("connection reset after commit")}
	}
	log.watch(t, w, len(log.records))
	if failed != 1 {
		t.Errorf("%d writes failed, want the one of the silence", failed)
	}
	raised := []string{"CUST_00001 silent raised low 58 0"}
	pgtest.WantRows(t, pool, silenceHistory, raised...)
	pgtest.WantRows(t, pool, `SELECT customer_id, kafka_topic, kafka_partition, kafka_offset FROM silences`, `CUST_00001 heartbeat-events 2 58`)

	for range 3 {
		w, from = watchingWorker(t, store, store, limits, len(log.records))
		log.add(2, 2)
		log.watch(t, w, from)
	}
	pgtest.WantRows(t, pool, silenceHistory, raised...)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, pool, `DELETE FROM silences`) // the alarm alone says enough
	w, from = watchingWorker(t, store, store, limits, len(log.records))
	at = log.watch(t, w, from)
	log.add(1, 1)
	log.watch(t, w, at)
	pgtest.WantRows(t, pool, silenceHistory, append(raised, "CUST_00001 silent cleared <nil> 79 40")...)
	pgtest.WantRows(t, pool, `SELECT count(*) FROM silences`, `0`)
	pgtest.WantRows(t, pool, `SELECT count(*) FROM alarms WHERE closed_at IS NULL`, `0`)
	wantNoContradiction(t, pool)
}

// A customer whose readings come from another partition now is not missed in the old one.
func TestCustomerWhoMovedIsNotSilent(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	limits := alarmstore.NewLimitCache(pool, detect.DefaultLimits())
	log := quietLog{at: pgtest.Noon.Truncate(time.Second)}
	log.add(30, 1, 2)
	w, from := watchingWorker(t, store, store, limits, len(log.records))
	at := log.watch(t, w, from)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, pool, `UPDATE detector_states SET kafka_partition = 7 WHERE customer_id = 'CUST_00001'`)
	log.add(15, 2)
	at = log.watch(t, w, at)
	pgtest.WantRows(t, pool, silenceHistory, []string{}...)
	log.add(1, 1, 2) // and it comes back
	log.watch(t, w, at)
	pgtest.WantRows(t, pool, silenceHistory, []string{}...)
}

func TestReportsAddUpToTheFleet(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	var claims []pipeline.Claim
	for number := range int32(3) {
		claim, err := store.Claim(t.Context(), pipeline.Partition{Topic: pgtest.Topic, TopicID: pgtest.Partition.TopicID, Number: number}, 0)
		if err != nil {
			t.Fatal(err)
		}
		claims = append(claims, claim)
	}
	report := func(claim pipeline.Claim, report silence.Report) silence.Fleet {
		t.Helper()
		fleet, err := store.Report(t.Context(), claim, report)
		if err != nil {
			t.Fatal(err)
		}
		return fleet
	}
	report(claims[0], silence.Report{Heard: 100, Watched: 90, Turned: 5, Silent: 6})
	report(claims[1], silence.Report{Heard: 10, Watched: 9, Behind: true})
	got := report(claims[2], silence.Report{Heard: 1, Watched: 1, Turned: 1, Silent: 1})
	want := silence.Fleet{Report: silence.Report{Heard: 111, Watched: 100, Turned: 6, Silent: 7, Behind: true}}
	if got != want {
		t.Errorf("the fleet is %+v, want %+v", got, want)
	}
	pgtest.Exec(t, pool, `UPDATE ingest_progress SET reported_at = now() - interval '4 minutes' WHERE partition < 2`)
	got = report(claims[2], silence.Report{Heard: 1})
	if want := (silence.Fleet{Report: silence.Report{Heard: 1, Behind: true}, Unknown: true}); got != want {
		t.Errorf("with old reports the fleet is %+v, want %+v: behind stands until it is taken back", got, want)
	}
	if _, err := store.Claim(t.Context(), claims[2].Partition, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Report(t.Context(), claims[2], silence.Report{}); pipeline.KindOf(err) != pipeline.Fenced {
		t.Errorf("a report under an old claim: %v, want it fenced", err)
	}
}

// A topic that was created again with fewer partitions is not behind for ever in one that it no longer has.
func TestPartitionThatIsGoneReportsNothing(t *testing.T) {
	t.Parallel()
	store, _ := pgtest.NewStore(t)
	for _, id := range [][16]byte{{1}, {2}} {
		for number := int32(2 - id[0]); number >= 0; number-- {
			claim, err := store.Claim(t.Context(), pipeline.Partition{Topic: pgtest.Topic, TopicID: id, Number: number}, 0)
			if err != nil {
				t.Fatal(err)
			}
			fleet, err := store.Report(t.Context(), claim, silence.Report{Heard: 1, Behind: id[0] == 1})
			if err != nil {
				t.Fatal(err)
			}
			want := silence.Fleet{Report: silence.Report{Heard: 2 - int(id[0]) - int(number) + 1, Behind: id[0] == 1}}
			if fleet != want {
				t.Errorf("topic %d, partition %d: the fleet is %+v, want %+v", id[0], number, fleet, want)
			}
		}
	}
}

// Partitions find the same outage at the same moment: none waits or fails, and it is one alarm, raised once.
func TestOutageFoundByAllPartitionsIsOne(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	var group errgroup.Group
	for number := range int32(8) {
		claim, err := store.Claim(t.Context(), pipeline.Partition{Topic: pgtest.Topic, TopicID: pgtest.Partition.TopicID, Number: number}, 0)
		if err != nil {
			t.Fatal(err)
		}
		transition := alarm.Transition{
			Alarm: alarm.ID{byte(number + 1)}, Subject: pgtest.Topic, Condition: alarm.Outage, Kind: alarm.Raised, Priority: alarm.High,
			At: pgtest.Noon, Since: pgtest.Noon, Measure: alarm.Measure{Value: 30, Peak: 30, Limit: 5}, Offset: -1,
		}
		group.Go(func() error {
			return store.Write(t.Context(), claim, &pipeline.Batch{Epoch: -1, Transitions: []alarm.Transition{transition}})
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	pgtest.WantRows(t, pool, `SELECT kind, version FROM alarm_events`, `raised 1`)
	wantNoContradiction(t, pool)
}

// Restarts of the consumer in an outage neither end it nor raise it again. In the end who is silent still has an alarm of its own.
func TestOutageIsRaisedOnce(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	limits := alarmstore.NewLimitCache(pool, detect.DefaultLimits())
	customers := make([]heartbeat.CustomerID, 10)
	for i := range customers {
		customers[i] = heartbeat.CustomerID(i + 1)
	}
	log := quietLog{at: pgtest.Noon.Truncate(time.Second)}
	log.add(30, customers...)
	w, from := watchingWorker(t, store, store, limits, len(log.records))
	at := log.watch(t, w, from)
	log.add(13, customers[5:]...)
	at = log.watch(t, w, at)
	outage := []string{"heartbeat-events outage raised high 50 5"}
	history := `
SELECT a.subject, a.condition, e.kind, e.priority, e.value, e."limit"
  FROM alarm_events AS e JOIN alarms AS a USING (alarm_id) ORDER BY e.recorded_at, a.subject, e.version`
	pgtest.WantRows(t, pool, history, outage...)
	pgtest.WantRows(t, pool, `SELECT count(*) FROM silences`, `5`)
	for range 3 {
		w, from = watchingWorker(t, store, store, limits, len(log.records))
		log.add(1, customers[5:]...)
		at = log.watch(t, w, from)
	}
	pgtest.WantRows(t, pool, history, outage...)
	log.add(1, customers[1:]...)
	at = log.watch(t, w, at)
	pgtest.WantRows(t, pool, `SELECT subject, condition, active, closed_at IS NULL FROM alarms`, `heartbeat-events outage false true`)
	log.add(13, customers[1:]...) // the limit of who was held back
	log.watch(t, w, at)
	log.watch(t, w, len(log.records))
	pgtest.WantRows(t, pool, `SELECT subject, condition, active, closed_at IS NULL FROM alarms ORDER BY condition`,
		`heartbeat-events outage false true`, `CUST_00001 silent true true`)
	pgtest.WantRows(t, pool, `SELECT count(*) FROM silences`, `1`)
	wantNoContradiction(t, pool)
}

// wantNoContradiction fails where verify would.
func wantNoContradiction(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	audit, err := query.NewAuditSnapshot(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	defer audit.Close(t.Context())
	found, err := audit.AlarmContradictions(t.Context())
	if err != nil || len(found) > 0 {
		t.Errorf("alarms contradict each other or the readings: %+v, %v", found, err)
	}
	err = alarmstore.CompareHistory(t.Context(), audit.Tx(), func(stored alarm.Alarm, detail string) {
		t.Errorf("alarm %s of %s: %s", stored.Condition, stored.Subject, detail)
	})
	if err != nil {
		t.Error(err)
	}
}
