package grafana_test

import (
	"cmp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/pgtest"
)

// seeded returns a database with the last hour of a fleet at the simulator's shares: raw rows, rollups, states, statistics and
// dead letters that agree with each other. It also returns the end of that hour.
func seeded(t testing.TB, readings, customers int) (*pgxpool.Pool, time.Time) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	pool := pgtest.Database(t)
	if err := partition.New(pool, 0).Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Loading a large fleet takes longer than the product's statement timeout.
	load := func(sql string, args ...any) {
		t.Helper()
		connection, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Release()
		if _, err := connection.Exec(t.Context(), `SET statement_timeout = 0`); err != nil {
			t.Fatal(err)
		}
		sql = at(sql, now) // loading a large fleet takes minutes
		if _, err := connection.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	// The last readings are one of each class, of the customer that the tests query.
	load(`
CREATE UNLOGGED TABLE event AS
SELECT n, CASE WHEN n > $1::bigint - 4 THEN 'CUST_00042' ELSE 'CUST_' || lpad((1 + floor(random() * $2))::integer::text, 5, '0') END AS customer_id,
       now() - ($1::bigint - n) * (interval '1 hour' / $1::bigint) AS at, (n % 3)::integer AS partition,
       CASE WHEN dice < 0.005 THEN 'INVALID' WHEN dice < 0.03 THEN 'BRADYCARDIA' WHEN dice < 0.055 THEN 'TACHYCARDIA' ELSE 'NORMAL' END AS class,
       CASE WHEN dice < 0.005 THEN 400 WHEN dice < 0.03 THEN 30 WHEN dice < 0.055 THEN 200 ELSE 40 + (random() * 100)::integer END AS heart_rate
  FROM (SELECT n, CASE $1::bigint - n WHEN 0 THEN 0 WHEN 1 THEN 0.01 WHEN 2 THEN 0.04 WHEN 3 THEN 1 ELSE random() END AS dice
          FROM generate_series(1, $1::bigint) AS n) AS drawn`, readings, customers)
	// Rows have the writer's order: batch by batch, sorted by customer within each.
	load(`
INSERT INTO heartbeat_records (event_timestamp, ingestion_timestamp, kafka_offset, kafka_partition, heart_rate, customer_id, kafka_topic)
SELECT at, at + interval '40 milliseconds', n, partition, heart_rate, customer_id, 'heartbeat-events'
  FROM event WHERE class = 'NORMAL' ORDER BY n / 3000, customer_id`)
	load(`
INSERT INTO heartbeat_anomalies (event_timestamp, ingestion_timestamp, kafka_offset, kafka_partition, heart_rate, customer_id, kafka_topic, anomaly_type, raw_message)
SELECT at, at + interval '40 milliseconds', n, partition, heart_rate, customer_id, 'heartbeat-events', class,
       '{"customer_id":"CUST_00042","heart_rate":200,"timestamp":"2026-02-20T10:00:00.123456+00:00"}'
  FROM event WHERE class <> 'NORMAL' ORDER BY n / 3000, customer_id`)
	load(`
INSERT INTO pipeline_metrics (recorded_at, metric_value, kafka_offset, event_timestamp, kafka_partition, metric_name, metric_unit, kafka_topic)
SELECT at, heart_rate, n, at, partition, 'alert_' || lower(class), 'bpm', 'heartbeat-events'
  FROM event WHERE class <> 'NORMAL' ORDER BY n / 3000, customer_id`)
	load(`
INSERT INTO pipeline_metrics (recorded_at, metric_value, metric_name, metric_unit)
SELECT at, second * 10, name, 'records'
  FROM generate_series(0, 3599) AS second, LATERAL (SELECT now() - interval '1 hour' + second * interval '1 second' AS at) AS snapshot,
       unnest(ARRAY['valid_processed', 'anomaly_processed', 'errors']) AS name`)
	load(`
INSERT INTO fleet_minute (minute, kafka_topic, kafka_partition, valid_count, bpm_sum, bpm_min, bpm_max, bradycardia_count, tachycardia_count, invalid_count)
SELECT date_trunc('minute', at), 'heartbeat-events', partition,
       count(*) FILTER (WHERE class = 'NORMAL'), coalesce(sum(heart_rate) FILTER (WHERE class = 'NORMAL'), 0),
       min(heart_rate) FILTER (WHERE class = 'NORMAL'), max(heart_rate) FILTER (WHERE class = 'NORMAL'),
       count(*) FILTER (WHERE class = 'BRADYCARDIA'), count(*) FILTER (WHERE class = 'TACHYCARDIA'), count(*) FILTER (WHERE class = 'INVALID')
  FROM event GROUP BY 1, 3`)
	load(`
INSERT INTO deliveries (delivery_id, destination, type, priority, alarm_ids, raises, body, created_at, next_attempt_at)
SELECT gen_random_uuid(), 'ward', 'raised', 'high', '{}', 1, '', now() - interval '1 minute', now()`)
	// The day before, for queries of more than an hour.
	load(`
INSERT INTO fleet_minute
SELECT minute, 'heartbeat-events', partition, 1000, 75000, 40, 140, 26, 26, 5
  FROM generate_series(date_trunc('minute', now()) - interval '1 day', date_trunc('minute', now()) - interval '62 minutes', interval '1 minute') AS minute,
       generate_series(0, 2) AS partition`)
	load(`
INSERT INTO customer_state (customer_id, event_timestamp, kafka_offset, kafka_partition, heart_rate, class, kafka_topic)
SELECT DISTINCT ON (customer_id) customer_id, at, n, partition, heart_rate, class, 'heartbeat-events'
  FROM event ORDER BY customer_id, at DESC`)
	load(`
INSERT INTO dead_letters (kafka_topic, kafka_partition, kafka_offset, reason, detail, raw_value, raw_length, raw_sha256)
SELECT 'heartbeat-events', 0, $1::bigint + n, CASE WHEN n % 3 = 0 THEN 'bad_timestamp' ELSE 'not_json' END, 'test', 'x', 1, 'x'
  FROM generate_series(1, 300) AS n`, readings)
	load(`
INSERT INTO ingest_progress (kafka_topic, partition, topic_id, topic_name, incarnation, first_offset, next_offset, state_from, fence, stored, anomalies, owner)
SELECT 'heartbeat-events', partition, '00000000-0000-0000-0000-000000000001', 'heartbeat-events', 1, 0, count(*), count(*), 1,
       count(*) FILTER (WHERE class = 'NORMAL'), count(*) FILTER (WHERE class <> 'NORMAL'), 'test/1'
  FROM event GROUP BY partition`)
	load(`
INSERT INTO data_incidents (kind, kafka_topic, partition, from_offset, to_offset, detail, recorded_at)
VALUES ('retention_passed', 'heartbeat-events', 0, 5, 7, 'two records were never read', now() - interval '1 minute')`)
	// 60 alarms, one a minute: a third open and not acknowledged, a third open and acknowledged, a third closed.
	load(`
INSERT INTO alarms (alarm_id, version, subject, condition, priority, current_priority, active, raised_at, active_since, onset_at, cleared_at, closed_at,
                    value, peak, "limit", acknowledged_by, acknowledged_at, seen_at, kafka_topic, kafka_partition, kafka_offset, episode_first_offset, episode_last_offset)
SELECT gen_random_uuid(), CASE n % 3 WHEN 0 THEN 1 ELSE 2 END, 'CUST_' || lpad(n::text, 5, '0'), (ARRAY['rate_high', 'rate_low', 'bad_signal'])[1 + n % 3],
       'high', 'high', n % 3 < 2, at, at, at - interval '15 seconds', CASE n % 3 WHEN 2 THEN at + interval '2 minutes' END, CASE n % 3 WHEN 2 THEN at + interval '2 minutes' END,
       200, 210, 180, CASE WHEN n % 3 > 0 THEN 'anna' END, CASE WHEN n % 3 > 0 THEN at + interval '1 minute' END, CASE WHEN n % 3 > 0 THEN at + interval '1 minute' END,
       'heartbeat-events', 0, n, n, CASE n % 3 WHEN 2 THEN n + 1 END
  FROM generate_series(1, 60) AS n, LATERAL (SELECT now() - n * interval '59 seconds' AS at) AS t`)
	load(`
INSERT INTO alarm_events (event_id, alarm_id, version, kind, at, recorded_at, actor)
SELECT gen_random_uuid(), alarm_id, 1, 'raised', raised_at, raised_at, NULL FROM alarms
 UNION ALL
SELECT gen_random_uuid(), alarm_id, 2, 'acknowledged', acknowledged_at, acknowledged_at, acknowledged_by FROM alarms WHERE version = 2`)
	load(`DROP TABLE event`)
	load(`VACUUM ANALYZE`)
	return pool, now
}

// at replaces the database's clock by a time.
func at(sql string, now time.Time) string {
	return strings.ReplaceAll(sql, "now()", "'"+now.Format(time.RFC3339Nano)+"'::timestamptz")
}

// span is the time range of a panel's query.
type span struct {
	from, to time.Time
	interval time.Duration
}

// spanOf returns the range of a panel: its own, or the dashboard's hour.
func spanOf(t testing.TB, p panel, now time.Time) span {
	t.Helper()
	length := time.Hour
	if p.TimeFrom != "" {
		var err error
		if length, err = time.ParseDuration(p.TimeFrom); err != nil {
			t.Fatalf("panel %q: %v", p.Title, err)
		}
	}
	points := cmp.Or(p.MaxDataPoints, 1000) // a panel has about as many as it has pixels
	s := span{from: now.Add(-length), to: now, interval: max(length/time.Duration(points), time.Second).Truncate(time.Second)}
	if p.Interval != "" {
		least, err := time.ParseDuration(p.Interval)
		if err != nil {
			t.Fatalf("panel %q: %v", p.Title, err)
		}
		s.interval = max(s.interval, least)
	}
	return s
}
