package query_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/pgtest"
)

// insertAlarmHistory stores alarms of 10,000 customers, each raised, acknowledged and cleared, and the readings that raised them.
func insertAlarmHistory(t testing.TB, pool *pgxpool.Pool, count int) {
	t.Helper()
	pgtest.Exec(t, pool, fmt.Sprintf(`
CREATE TABLE made AS
SELECT gen_random_uuid() AS id, n, 'CUST_' || lpad((n %% 10000)::text, 5, '0') AS subject, '2026-02-20 12:00+00'::timestamptz + n * interval '10 s' AS at
  FROM generate_series(1, %d) AS n`, count))
	for _, sql := range []string{`
INSERT INTO ingest_progress (kafka_topic, partition, topic_id, topic_name, incarnation, first_offset, next_offset, fence, state_from, anomalies)
SELECT 'log', 0, gen_random_uuid(), 'log', 1, 1, max(n) + 1, 1, 1, max(n) FROM made`, `
INSERT INTO heartbeat_anomalies (event_timestamp, kafka_offset, kafka_partition, heart_rate, customer_id, kafka_topic, anomaly_type, raw_message)
SELECT at, n, 0, 195, subject, 'log', 'TACHYCARDIA', '{}' FROM made`, `
INSERT INTO alarms (alarm_id, version, subject, condition, priority, current_priority, active, raised_at, active_since, onset_at, cleared_at, closed_at,
                    value, peak, "limit", acknowledged_by, acknowledged_at, acknowledged_until, seen_at,
                    kafka_topic, kafka_partition, kafka_offset, episode_first_offset, episode_last_offset)
SELECT id, 3, subject, 'rate_high', 'high', 'high', false, at, at, at, at + interval '1 min', at + interval '1 min',
       195, 199, 180, 'anna', at, at + interval '15 min', at, 'log', 0, n, n, n
  FROM made`, `
INSERT INTO alarm_events (event_id, alarm_id, version, kind, at, actor, priority, since, value, peak, "limit", until, kafka_topic, kafka_partition, kafka_offset)
SELECT gen_random_uuid(), id, 1, 'raised', at, NULL, 'high'::alarm_priority, at, 195, 199, 180, NULL, 'log', 0, n FROM made UNION ALL
SELECT gen_random_uuid(), id, 2, 'acknowledged', at, 'anna', NULL, NULL, NULL, NULL, NULL, at + interval '15 min', NULL, NULL, NULL FROM made UNION ALL
SELECT gen_random_uuid(), id, 3, 'cleared', at + interval '1 min', NULL, 'high', at, 195, 199, 180, NULL, 'log', 0, n FROM made`,
		`VACUUM ANALYZE alarms, alarm_events, heartbeat_anomalies, heartbeat_records`,
	} {
		pgtest.Exec(t, pool, sql)
	}
}

// BenchmarkAuditOfAlarms compares all alarms with their events and readings, as verify does. The time for an alarm grows until each of
// its events lies on a page of its own, which few do among 10,000 alarms and nearly all among 100,000.
func BenchmarkAuditOfAlarms(b *testing.B) {
	for _, count := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			pool := pgtest.Database(b)
			insertAlarmHistory(b, pool, count)
			b.ReportAllocs()
			for b.Loop() {
				snapshot := takeAudit(b, pool)
				found, err := snapshot.AlarmContradictions(b.Context())
				if err != nil || len(found) > 0 {
					b.Fatalf("%+v, %v", found, err)
				}
				if err := alarmstore.CompareHistory(b.Context(), snapshot.Tx(), func(held alarm.Alarm, detail string) {
					b.Fatalf("alarm %s: %s", held.ID, detail)
				}); err != nil {
					b.Fatal(err)
				}
				snapshot.Close(b.Context())
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(count), "µs/alarm")
		})
	}
}
