package partition_test

import (
	"testing"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/pgtest"
)

func TestRetentionDropsOldPartitionsAndKeepsTheirCounts(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	pgtest.MustMaintain(t, pool, 0)
	now := pgtest.Value[time.Time](t, pool, `SELECT now()`)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, &pipeline.Batch{From: 0, To: 8, Readings: []pipeline.Reading{
		pgtest.Reading(0, 1, 75, pgtest.Noon), // history
		pgtest.Reading(1, 1, 30, pgtest.Noon),
		pgtest.Reading(2, 1, 75, now.Add(-10*time.Hour)), // partitions to be dropped
		pgtest.Reading(3, 1, 75, now.Add(-11*time.Hour)),
		pgtest.Reading(4, 1, 300, now.Add(-11*time.Hour)),
		pgtest.Reading(5, 1, 75, now), // to be kept
		pgtest.Reading(6, 1, 0, now),
	}, DeadLetters: []heartbeat.DeadLetter{pgtest.DeadLetter(7, heartbeat.NotJSON, "x", []byte("x"))}})
	pgtest.WantSummaryIsExact(t, pool)

	pgtest.MustMaintain(t, pool, 2*time.Hour)
	pgtest.WantRows(t, pool, `SELECT kafka_offset FROM heartbeat_records`, `5`)
	pgtest.WantRows(t, pool, `SELECT kafka_offset FROM heartbeat_anomalies`, `6`)
	pgtest.WantRows(t, pool, `SELECT table_name, kafka_topic, kafka_partition, row_count FROM retired_rows ORDER BY table_name`,
		`heartbeat_anomalies heartbeat-events 2 2`, `heartbeat_records heartbeat-events 2 3`)
	pgtest.WantRows(t, pool, `SELECT sum(valid_count), sum(tachycardia_count), sum(invalid_count) FROM fleet_minute`, `1 0 1`)
	pgtest.WantSummaryIsExact(t, pool)
	for _, table := range partitionedTables {
		wantUnbroken(t, pool, table)
	}

	// What is too old already on arrival goes with the next round.
	pgtest.MustWrite(t, store, claim, &pipeline.Batch{From: 8, To: 10, Readings: []pipeline.Reading{
		pgtest.Reading(8, 1, 75, now.Add(-9*time.Hour)), pgtest.Reading(9, 1, 75, pgtest.Noon),
	}})
	pgtest.WantRows(t, pool, `SELECT DISTINCT tableoid::regclass::text FROM heartbeat_records WHERE kafka_offset IN (8, 9)`, `heartbeat_records_history`)
	pgtest.MustMaintain(t, pool, 2*time.Hour)
	pgtest.WantRows(t, pool, `SELECT kafka_offset FROM heartbeat_records`, `5`)
	pgtest.WantRows(t, pool, `SELECT row_count FROM retired_rows WHERE table_name = 'heartbeat_records'`, `5`)
	pgtest.WantSummaryIsExact(t, pool)
	wantUnbroken(t, pool, "heartbeat_records")
}

func TestWithoutRetentionNothingIsDropped(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	pgtest.MustMaintain(t, pool, 0)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(0, 100)))
	pgtest.MustMaintain(t, pool, 0)
	if n := pgtest.Count(t, pool, "heartbeat_records"); n != 100 {
		t.Errorf("%d records, want 100", n)
	}
}

// Imports learn from the tables which readings the consumers refuse.
func TestRetentionIsPublished(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	for _, retention := range []time.Duration{0, 36 * time.Hour, 90 * time.Minute, 0, 24 * time.Hour} {
		pgtest.MustMaintain(t, pool, retention)
		if got, err := partition.PublishedRetention(t.Context(), pool); err != nil || got != retention {
			t.Errorf("the published retention is %v, %v, want %v", got, err, retention)
		}
	}
}
