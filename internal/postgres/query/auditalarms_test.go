package query_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/query"
)

func TestAuditFindsAlarmsThatContradictTheirHistory(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ change, want string }{
		"nothing wrong": {`SELECT`, ""},
		"alarm is gone": {`SET session_replication_role = replica; ALTER TABLE alarms DISABLE TRIGGER USER; DELETE FROM alarms`,
			"which does not exist"},
		"offset not stored": {`UPDATE ingest_progress SET next_offset = 1, anomalies = 0, state_from = 0`, "by a reading that is not below next_offset"},
		"reading is gone":   {`DELETE FROM heartbeat_anomalies WHERE kafka_offset = 1`, "by a reading that is not stored"},
		"the latest reading before a silence is gone": {`DELETE FROM heartbeat_records WHERE kafka_offset = 0`, "after a reading that is not stored"},
		"retention dropped the latest reading before a silence, which was late": {
			`DELETE FROM heartbeat_records WHERE kafka_offset = 0;
			 INSERT INTO retired_rows VALUES ('heartbeat_records', 'heartbeat-events', 2, 1, '2000-01-01')`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, pool := pgtest.NewStore(t)
			claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
			batch := pgtest.BatchOf([]pipeline.Reading{pgtest.Reading(0, 1, 75, pgtest.Noon), pgtest.Reading(1, 1, 250, pgtest.Noon)})
			at := batch.Readings[1].Time
			batch.Transitions = []alarm.Transition{{
				Alarm: alarm.ID{1}, Subject: "CUST_00001", Condition: alarm.RateHigh, Kind: alarm.Raised, Priority: alarm.High,
				At: at, Since: at, Measure: alarm.Measure{Value: 250, Peak: 250, Limit: 180}, Offset: 1,
			}, {
				Alarm: alarm.ID{2}, Subject: "CUST_00001", Condition: alarm.Silent, Kind: alarm.Raised, Priority: alarm.Low,
				At: at.Add(time.Minute), Since: at, Offset: 0,
			}, {
				Alarm: alarm.ID{3}, Subject: pgtest.Topic, Condition: alarm.Lag, Kind: alarm.Raised, Priority: alarm.High, At: at, Since: at, Offset: 1,
			}}
			pgtest.MustWrite(t, store, claim, batch)
			pgtest.Exec(t, pool, test.change)
			found, err := takeAudit(t, pool).AlarmContradictions(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "" && len(found) == 0 {
				return
			}
			if i := slices.IndexFunc(found, func(c query.Contradiction) bool { return strings.Contains(c.Detail, test.want) }); test.want == "" || i < 0 {
				t.Errorf("found %+v, want %q", found, test.want)
			}
		})
	}
}
