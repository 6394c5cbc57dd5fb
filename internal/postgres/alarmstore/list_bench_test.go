package alarmstore_test

import (
	"testing"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/pgtest"
)

// BenchmarkList reads pages of 10,000 open alarms, of which a fifth are acknowledged, among 30,000 closed ones.
func BenchmarkList(b *testing.B) {
	pool := pgtest.Database(b)
	pgtest.Exec(b, pool, `
INSERT INTO alarms (alarm_id, version, subject, condition, priority, current_priority, active, raised_at, active_since, onset_at, cleared_at,
                    closed_at, acknowledged_by, acknowledged_at, seen_at, kafka_topic, kafka_partition, kafka_offset, episode_first_offset, episode_last_offset)
SELECT gen_random_uuid(), 1, 'CUST_' || lpad(n::text, 5, '0'), condition, priority, priority, open, at, at, at, ended,
       ended, actor, CASE WHEN actor IS NOT NULL THEN at END, CASE WHEN actor IS NOT NULL THEN at END, 'log', 0, n, n, CASE WHEN NOT open THEN n END
  FROM generate_series(1, 40000) AS n,
       LATERAL (SELECT n % 4 = 0 AS open, '2026-02-20 12:00+00'::timestamptz - n * interval '1 second' AS at,
                       CASE WHEN n % 20 = 0 THEN 'anna' END AS actor, CASE WHEN n % 8 = 0 THEN 'rate_high' ELSE 'rate_low' END AS condition,
                       (ARRAY['low', 'medium', 'high'])[1 + n / 4 % 3]::alarm_priority AS priority) AS one,
       LATERAL (SELECT CASE WHEN NOT open THEN at END AS ended) AS two`)
	pgtest.Exec(b, pool, `VACUUM ANALYZE alarms`)
	store := alarmstore.New(pool)
	now := time.Date(2026, 2, 20, 12, 0, 0, 0, time.UTC)
	page := func(b *testing.B, query alarm.Query) []alarm.Alarm {
		alarms, err := store.List(b.Context(), query, now)
		if err != nil {
			b.Fatal(err)
		}
		return alarms
	}
	all := page(b, alarm.Query{Filter: alarm.FilterOpen, Limit: 10_001})
	if len(all) != 10_000 {
		b.Fatalf("%d alarms are open, want 10,000", len(all))
	}
	middle, end := alarm.CursorOf(&all[4999], now), alarm.CursorOf(&all[9899], now)
	for name, query := range map[string]alarm.Query{
		"first":        {Filter: alarm.FilterOpen},
		"middle":       {Filter: alarm.FilterOpen, After: &middle},
		"last":         {Filter: alarm.FilterOpen, After: &end},
		"one priority": {Filter: alarm.FilterActive, Priority: alarm.Low, Unacknowledged: true},
		"closed":       {Filter: alarm.FilterClosed},
	} {
		query.Limit = 100
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n := len(page(b, query)); n != query.Limit {
					b.Fatalf("%d alarms in a page", n)
				}
			}
		})
	}
}
