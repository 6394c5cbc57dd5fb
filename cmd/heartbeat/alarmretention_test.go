package main

import (
	"strings"
	"testing"

	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/testkit/fakekafka"
)

// A consumer drops, with their history, the alarms that were closed too long ago, and no other: however old an open one is, it waits
// for a person.
func TestAlarmRetentionDropsOnlyWhatIsClosedForLong(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	for _, test := range []struct {
		name, flag string
		until      string // this is logged
		left       []string
	}{
		{"two days", "--alarm-retention=48h", "closed alarms dropped", []string{"active", "closed yesterday", "latched"}},
		{"not set", "--alarm-retention=0", "partition claimed", []string{"active", "closed", "closed yesterday", "latched"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Database(t)
			pgtest.Exec(t, pool, `
INSERT INTO alarms (alarm_id, version, subject, condition, priority, current_priority, active, raised_at, active_since, onset_at, cleared_at, closed_at,
                    detail, kafka_topic, kafka_partition, kafka_offset, episode_first_offset, episode_last_offset)
SELECT gen_random_uuid(), 1, 'CUST_00042', condition, 'high', 'high', cleared IS NULL, '2026-01-01', '2026-01-01', '2026-01-01', cleared, closed,
       name, 'log', 0, 1, 1, CASE WHEN cleared IS NOT NULL THEN 2 END
  FROM (VALUES ('active', 'rate_high', NULL::timestamptz, NULL::timestamptz),
               ('latched', 'rate_low', '2026-01-01', NULL),
               ('closed', 'rate_high', '2026-01-01', '2026-01-01'),
               ('closed yesterday', 'rate_high', '2026-01-01', now() - interval '1 day')) AS alarm (name, condition, cleared, closed)`)
			pgtest.Exec(t, pool, `
INSERT INTO alarm_events (event_id, alarm_id, version, kind, at, detail)
SELECT gen_random_uuid(), alarm_id, 1, 'raised', raised_at, detail FROM alarms`)

			p := prepare(t, []string{"DATABASE_URL=" + pgtest.URL(pool)}, "consume", test.flag, "--brokers", cluster.ListenAddrs()[0],
				"--group", strings.ReplaceAll(test.name, " ", "-"), "--metrics-address=none", "--instance-id="+strings.ReplaceAll(test.name, " ", "-"))
			p.start()
			p.await(test.until)
			p.signal()
			if code := p.wait(); code != exitOK {
				t.Errorf("exit code is %d:\n%s", code, p.stderr.String())
			}
			pgtest.WantRows(t, pool, `SELECT detail FROM alarms ORDER BY detail`, test.left...)
			pgtest.WantRows(t, pool, `SELECT detail FROM alarm_events ORDER BY detail`, test.left...)
		})
	}
	if p := prepare(t, nil, "consume", "--alarm-retention=1h"); p.run() != exitUsage || !strings.Contains(p.stderr.String(), "want 24h or more") {
		t.Errorf("an hour is accepted:\n%s", p.stderr.String())
	}
}
