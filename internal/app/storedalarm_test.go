package app_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/alarm"
	"heartbeat/internal/app"
	"heartbeat/internal/dryrun"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/simulate"
	"heartbeat/internal/suggest"
	"heartbeat/internal/testkit/fakekafka"
)

const truthTopic = "heartbeat-truth"

// monitored stores two hours of 15 simulated people with their truth, by a real consumer. Limits of SQL are in force before.
func monitored(t *testing.T, limits ...string) (*pgxpool.Pool, kafka.Config, dryrun.Period) {
	t.Helper()
	return monitoredFleet(t, 15, limits...)
}

func monitoredFleet(t testing.TB, customers int, limits ...string) (*pgxpool.Pool, kafka.Config, dryrun.Period) {
	t.Helper()
	cluster := fakekafka.Start(t, kfake.SeedTopics(3, topic), kfake.SeedTopics(3, truthTopic))
	pool := pgtest.Database(t)
	for _, statement := range limits {
		pgtest.Exec(t, pool, statement)
	}
	brokers := kafka.Config{Brokers: cluster.ListenAddrs(), Topic: topic, Logger: slog.New(slog.DiscardHandler)}
	over := dryrun.Period{From: time.Now().UTC().Add(-2 * time.Hour).Truncate(time.Second), To: time.Now().UTC()}
	var truth []producer.Message
	people, err := simulate.NewPopulation(simulate.PopulationOptions{
		Customers: customers, AnomalyRate: 0.05, InvalidRate: 0.005, Seed: 7, Interval: 5 * time.Second, Start: over.From,
		Episodes: simulate.Rates{simulate.Tachycardia: 12, simulate.Bradycardia: 12, simulate.ArtefactBurst: 4, simulate.ClockAhead: 2, simulate.LateUpload: 1},
		Truth: func(e simulate.Episode) {
			line, err := json.Marshal(e)
			if err != nil {
				t.Error(err)
			}
			truth = append(truth, producer.Message{Key: []byte(e.Customer.String()), Value: line, Time: e.Onset})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	sender, err := producer.New(t.Context(), producer.Config{Config: brokers})
	if err != nil {
		t.Fatal(err)
	}
	for reading := range people.Readings() {
		if reading.Sent.After(over.To) {
			break
		}
		if err := sender.SendAt(reading.Event, reading.Sent); err != nil {
			t.Fatal(err)
		}
	}
	if err := sender.Close(); err != nil {
		t.Fatal(err)
	}
	truths := brokers
	truths.Topic = truthTopic
	publisher, err := producer.NewPublisher(t.Context(), producer.PublisherConfig{Config: truths})
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	if err := publisher.Publish(t.Context(), truth...); err != nil {
		t.Fatal(err)
	}
	if err := app.Consume(t.Context(), app.ConsumeOptions{
		Kafka: brokers, Group: "heartbeat-consumer-group", Database: postgres.Options{URL: pgtest.URL(pool)}, UntilCaughtUp: true,
		Registry: prometheus.NewRegistry(), Logger: brokers.Logger,
	}); err != nil {
		t.Fatal(err)
	}
	return pool, brokers, over
}

// TestStoredAlarmsAreJudgedByTheirTruth also finds an alarm that is missing in the database.
func TestStoredAlarmsAreJudgedByTheirTruth(t *testing.T) {
	t.Parallel()
	pool, brokers, over := monitored(t)
	database := postgres.Options{URL: pgtest.URL(pool)}
	evaluate := func() app.StoredResult {
		t.Helper()
		r, err := app.EvaluateStored(t.Context(), app.StoredOptions{
			Kafka: brokers, Database: database, From: over.From, To: over.To, TruthTopic: truthTopic, Logger: brokers.Logger,
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := evaluate()
	if !r.Equal || r.Differences != 0 || r.Undecided != 0 {
		t.Errorf("stored %+v\noffline %+v\n%d differences, %d undecided; want the same", r.Stored, r.Offline, r.Differences, r.Undecided)
	}
	if r.Stored.Sensitivity.Of < 10 || r.Stored.Sensitivity.Share < 0.9 || r.Customers != 15 || r.Stored.DelayP95 < 15 || r.Stored.DelayP95 > 60 {
		t.Errorf("sensitivity %+v of %d customers, p95 %v s", r.Stored.Sensitivity, r.Customers, r.Stored.DelayP95)
	}
	if got := pgtest.Value[int](t, pool, `SELECT count(*) FROM alarm_events WHERE kind IN ('raised', 'recurred', 'reopened')`); got < 20 {
		t.Errorf("%d openings are stored, too few for this test", got)
	}
	pgtest.Exec(t, pool, `ALTER TABLE alarm_events DISABLE TRIGGER USER`)
	pgtest.Exec(t, pool, `ALTER TABLE alarms DISABLE TRIGGER USER`)
	pgtest.Exec(t, pool, `DELETE FROM alarms WHERE alarm_id = (SELECT alarm_id FROM alarms WHERE condition = 'rate_high' ORDER BY raised_at LIMIT 1)`)
	pgtest.Exec(t, pool, `DELETE FROM alarm_events WHERE alarm_id NOT IN (SELECT alarm_id FROM alarms)`)
	if r := evaluate(); r.Equal || r.Differences == 0 {
		t.Errorf("a missing alarm is not found: %+v", r)
	}
}

func TestLimitsAreTriedOnStoredReadings(t *testing.T) {
	t.Parallel()
	pool, brokers, over := monitored(t)
	alarms, err := app.OpenAlarms(t.Context(), postgres.Options{URL: pgtest.URL(pool)}, brokers.Logger)
	if err != nil {
		t.Fatal(err)
	}
	defer alarms.Close()
	try := func(over dryrun.Period, proposed ...alarm.Limit) dryrun.Result {
		t.Helper()
		r, err := alarms.TryLimits(t.Context(), app.TryLimitsOptions{Kafka: brokers, Proposed: proposed, Over: over})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	stored := storedOpenings(t, pool)
	same := try(over)
	if same.Now != stored || same.Proposed != stored || same.Differences != 0 || len(same.Changed) != 0 {
		t.Errorf("the limits in force give %+v and %+v, stored are %+v; %d differences, changed %+v", same.Now, same.Proposed, stored, same.Differences, same.Changed)
	}
	none := try(over, alarm.Limit{Scope: "fleet", Low: 25, High: 230})
	if none.Now != stored || none.Proposed.RateHigh+none.Proposed.RateLow > stored.RateHigh/4 || none.Proposed.BadSignal != stored.BadSignal || len(none.Changed) < 5 {
		t.Errorf("with wide limits now %+v, proposed %+v, %d people change", none.Now, none.Proposed, len(none.Changed))
	}
	subject := none.Changed[0].Customer
	one := try(over, alarm.Limit{Scope: "person", Customer: subject, Low: 25, High: 230})
	if len(one.Changed) != 1 || one.Changed[0].Customer != subject {
		t.Errorf("a limit of %s changes %+v", subject, one.Changed)
	}
	part := try(dryrun.Period{From: over.From.Add(time.Hour), To: over.To})
	if part.Now.Total() >= stored.Total() || part.Now.Total() == 0 || part.Now != part.Proposed || part.Readings >= same.Readings {
		t.Errorf("the second hour has %+v and %+v of %+v", part.Now, part.Proposed, stored)
	}
	if _, err := alarms.TryLimits(t.Context(), app.TryLimitsOptions{Kafka: brokers, Proposed: []alarm.Limit{{Scope: "fleet", High: 300}}, Over: over}); err == nil {
		t.Error("a limit of 300 is tried")
	}
}

func storedOpenings(t *testing.T, pool *pgxpool.Pool) dryrun.Alarms {
	t.Helper()
	openings := func(condition string) int {
		return pgtest.Value[int](t, pool, `
SELECT count(*) FROM alarm_events JOIN alarms USING (alarm_id)
 WHERE kind IN ('raised', 'recurred', 'reopened') AND condition = $1`, condition)
	}
	return dryrun.Alarms{RateHigh: openings("rate_high"), RateLow: openings("rate_low"), BadSignal: openings("bad_signal")}
}

// TestDryRunOfTheLimitsInForceGivesTheStoredAlarms has limits of the fleet, of a cohort that a person leaves, of a person at certain
// hours, and of a person from the second hour on.
func TestDryRunOfTheLimitsInForceGivesTheStoredAlarms(t *testing.T) {
	t.Parallel()
	const columns = `INSERT INTO detection_limits (author, reason, effective_from, scope, `
	pool, brokers, over := monitored(t,
		`ALTER TABLE detection_limits DISABLE TRIGGER USER`, `ALTER TABLE cohort_members DISABLE TRIGGER USER`, // which refuse the past
		columns+`high) VALUES ('anna', 'x', now() - interval '3 hours', 'fleet', 110)`,
		columns+`cohort, low) VALUES ('anna', 'x', now() - interval '3 hours', 'cohort', 'athletes', 60)`,
		columns+`customer_id, high, hours_from, hours_to) VALUES ('anna', 'x', now() - interval '3 hours', 'person', 'CUST_00003', 100,
		   extract(hour FROM now() AT TIME ZONE 'utc')::int * 60, (extract(hour FROM now() AT TIME ZONE 'utc')::int * 60 + 59))`,
		columns+`customer_id, high) VALUES ('anna', 'x', now() - interval '1 hour', 'person', 'CUST_00004', 100)`,
		`INSERT INTO cohort_members (customer_id, effective_from, cohort, author)
		 SELECT 'CUST_0000' || n, now() - interval '3 hours', 'athletes', 'anna' FROM generate_series(1, 6) AS n
		 UNION ALL SELECT 'CUST_00002', now() - interval '1 hour', '', 'anna'`)
	alarms, err := app.OpenAlarms(t.Context(), postgres.Options{URL: pgtest.URL(pool)}, brokers.Logger)
	if err != nil {
		t.Fatal(err)
	}
	defer alarms.Close()
	stored := storedOpenings(t, pool)
	read, calls := int64(0), 0
	r, err := alarms.TryLimits(t.Context(), app.TryLimitsOptions{Kafka: brokers, Over: over, Watch: func(done, records int64, customers int) error {
		if read, calls = done, calls+1; done > records || customers > 15 {
			t.Errorf("%d of %d records are read, of %d customers", done, records, customers)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Now != stored || r.Proposed != stored || r.Differences != 0 || r.Undecided != 0 || r.Cut || calls < 10 || read > r.Readings {
		t.Errorf("the dry run gives %+v and %+v, stored are %+v; %d differences, %d undecided, cut %t; told %d times", r.Now, r.Proposed, stored, r.Differences, r.Undecided, r.Cut, calls)
	}
	none, err := alarms.TryLimits(t.Context(), app.TryLimitsOptions{Kafka: brokers, Over: over, Proposed: []alarm.Limit{
		{Scope: "fleet", High: 180}, {Scope: "cohort", Cohort: "athletes", Low: 40}, {Scope: "person", Customer: "CUST_00004", High: 180},
	}})
	if err != nil || none.Proposed.RateLow >= stored.RateLow || none.Proposed.RateHigh >= stored.RateHigh {
		t.Errorf("without these limits %+v of %+v, error %v: they are tested by nothing", none.Proposed, stored, err)
	}
	stop := errors.New("enough")
	if _, err := alarms.TryLimits(t.Context(), app.TryLimitsOptions{Kafka: brokers, Over: over, Watch: func(read, _ int64, _ int) error {
		if read > 5000 {
			return stop
		}
		return nil
	}}); !errors.Is(err, stop) {
		t.Errorf("stopped, the dry run ends with %v", err)
	}
}

// BenchmarkLimitsAreTried tries a limit on a million readings and more, with reading them from Kafka.
func BenchmarkLimitsAreTried(b *testing.B) {
	pool, brokers, over := monitoredFleet(b, 750)
	alarms, err := app.OpenAlarms(b.Context(), postgres.Options{URL: pgtest.URL(pool)}, brokers.Logger)
	if err != nil {
		b.Fatal(err)
	}
	defer alarms.Close()
	seconds, stepped := 0.0, int64(0)
	for b.Loop() {
		r, err := alarms.TryLimits(b.Context(), app.TryLimitsOptions{Kafka: brokers, Over: over, Proposed: []alarm.Limit{{Scope: "fleet", High: 170}}})
		if err != nil || r.Stepped < 1_000_000 || r.Differences != 0 || r.Now == r.Proposed {
			b.Fatalf("%d readings, %d differences, now %+v, proposed %+v: %v", r.Stepped, r.Differences, r.Now, r.Proposed, err)
		}
		seconds, stepped = seconds+r.Seconds, stepped+r.Stepped
	}
	b.ReportMetric(seconds*1e6/float64(stepped), "s/Mreading")
}

// TestDryRunSaysWhatKafkaNoLongerHas deletes the first hour, and then all.
func TestDryRunSaysWhatKafkaNoLongerHas(t *testing.T) {
	t.Parallel()
	pool, brokers, over := monitored(t)
	alarms, err := app.OpenAlarms(t.Context(), postgres.Options{URL: pgtest.URL(pool)}, brokers.Logger)
	if err != nil {
		t.Fatal(err)
	}
	defer alarms.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	remove := func(before time.Time) {
		t.Helper()
		offsets, err := admin.ListOffsetsAfterMilli(t.Context(), before.UnixMilli(), topic)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := admin.DeleteRecords(t.Context(), offsets.Offsets()); err != nil {
			t.Fatal(err)
		}
	}
	try := func(over dryrun.Period) dryrun.Result {
		t.Helper()
		r, err := alarms.TryLimits(t.Context(), app.TryLimitsOptions{Kafka: brokers, Over: over, Proposed: []alarm.Limit{{Scope: "fleet", High: 150}}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	hour := over.From.Add(time.Hour)
	remove(hour)
	if r := try(over); !r.Cut || r.Readings == 0 || r.From.Before(hour.Add(-time.Minute)) || r.Differences != 0 {
		t.Errorf("without the first hour: cut %t, %d readings from %v, %d differences", r.Cut, r.Readings, r.From, r.Differences)
	}
	if r := try(dryrun.Period{From: hour.Add(10 * time.Minute), To: over.To}); r.Cut {
		t.Error("what Kafka has whole is called cut")
	}
	remove(over.To.Add(time.Hour))
	if r := try(over); !r.Cut || r.Readings != 0 || len(r.Changed) != 0 {
		t.Errorf("without any reading: cut %t, %d readings, changed %+v", r.Cut, r.Readings, r.Changed)
	}
}

// TestLimitsAreSuggestedFromStoredReadings has 9 days of 70 to 80 bpm, artefacts, and four hours with an alarm at 200.
func TestLimitsAreSuggestedFromStoredReadings(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	now := time.Date(2026, 2, 20, 12, 0, 0, 0, time.UTC)
	const columns = `(customer_id, event_timestamp, heart_rate, kafka_topic, kafka_partition, kafka_offset`
	pgtest.Exec(t, pool, `
INSERT INTO heartbeat_records `+columns+`)
SELECT 'CUST_00042', $1::timestamptz - n * interval '15 seconds', 70 + n / 4 % 11, 'heartbeat-events', 0, n FROM generate_series(1, 9 * 5760) AS n
 WHERE n % 20 <> 0 AND n NOT BETWEEN 4000 AND 4959`, now)
	pgtest.Exec(t, pool, `
INSERT INTO heartbeat_anomalies `+columns+`, anomaly_type, raw_message)
SELECT 'CUST_00042', $1::timestamptz - n * interval '15 seconds', CASE WHEN n BETWEEN 4000 AND 4959 THEN 200 ELSE 30 END, 'heartbeat-events', 0, n,
       CASE WHEN n BETWEEN 4000 AND 4959 THEN 'TACHYCARDIA' ELSE 'BRADYCARDIA' END, '{}'
  FROM generate_series(1, 9 * 5760) AS n WHERE n % 20 = 0 OR n BETWEEN 4000 AND 4959`, now)
	alarms, err := app.OpenAlarms(t.Context(), postgres.Options{URL: pgtest.URL(pool)}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer alarms.Close()
	suggested := func(customer heartbeat.CustomerID) suggest.Suggested {
		t.Helper()
		s, err := alarms.SuggestLimits(t.Context(), customer, 60, now)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ill := suggested(42).Suggestions[0]
	pgtest.Exec(t, pool, `
INSERT INTO alarms (alarm_id, version, subject, condition, priority, current_priority, active, raised_at, active_since, onset_at, cleared_at, closed_at, seen_at,
                    kafka_topic, kafka_partition, kafka_offset, episode_first_offset, episode_last_offset)
SELECT '0b54b2f0-5a3c-5d0c-9d5e-0c4f1d3a7e21', 2, 'CUST_00042', 'rate_high', 'high', 'high', false, since, since, since, till, till, till, 'heartbeat-events', 0, 1, 1, 2
  FROM (SELECT $1::timestamptz - 4960 * interval '15 seconds' AS since, $1::timestamptz - 3999 * interval '15 seconds' AS till) AS ill`, now)
	pgtest.Exec(t, pool, `
INSERT INTO alarm_events (event_id, alarm_id, version, kind, at, since, kafka_topic)
SELECT gen_random_uuid(), alarm_id, 1, 'raised', raised_at, onset_at, 'heartbeat-events' FROM alarms
UNION ALL SELECT gen_random_uuid(), alarm_id, 2, 'cleared', cleared_at, cleared_at, 'heartbeat-events' FROM alarms`)
	s := suggested(42)
	all := s.Suggestions[0]
	if s.LowInForce != 40 || s.HighInForce != 180 || s.MinutesEach != 1 || !all.Enough || all.High != 100 || all.Low != 60 {
		t.Errorf("suggested is %+v", s)
	}
	if ill.High <= 200 || all.Evidence.LeftOut < 239 || all.Evidence.Lowest < 70 || all.Evidence.Highest > 80 {
		t.Errorf("with the alarm left out %+v, before %+v", all, ill)
	}
	if unknown := suggested(43); slices.ContainsFunc(unknown.Suggestions, func(s suggest.Suggestion) bool { return s.Enough }) {
		t.Errorf("for a customer without readings %+v is suggested", unknown)
	}
}
