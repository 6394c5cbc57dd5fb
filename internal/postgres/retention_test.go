package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgtest"
)

func TestRetentionDropsOldPartitionsAndKeepsTheirCounts(t *testing.T) {
	t.Parallel()
	store, pool := newStore(t)
	mustMaintain(t, pool, 0)
	now := pgtest.Value[time.Time](t, pool, `SELECT now()`)
	claim := mustClaim(t, store, partition, 0)
	mustWrite(t, store, claim, &pipeline.Batch{From: 0, To: 8, Readings: []pipeline.Reading{
		reading(0, 1, 75, noon), // history
		reading(1, 1, 30, noon),
		reading(2, 1, 75, now.Add(-10*time.Hour)), // partitions to be dropped
		reading(3, 1, 75, now.Add(-11*time.Hour)),
		reading(4, 1, 300, now.Add(-11*time.Hour)),
		reading(5, 1, 75, now), // to be kept
		reading(6, 1, 0, now),
	}, DeadLetters: []heartbeat.DeadLetter{deadLetter(7, heartbeat.NotJSON, "x", []byte("x"))}})
	wantSummaryIsExact(t, pool)

	mustMaintain(t, pool, 2*time.Hour)
	wantRows(t, pool, `SELECT kafka_offset FROM heartbeat_records`, `5`)
	wantRows(t, pool, `SELECT kafka_offset FROM heartbeat_anomalies`, `6`)
	wantRows(t, pool, `SELECT table_name, kafka_topic, kafka_partition, row_count FROM retired_rows ORDER BY table_name`,
		`heartbeat_anomalies heartbeat-events 2 2`, `heartbeat_records heartbeat-events 2 3`)
	wantRows(t, pool, `SELECT sum(valid_count), sum(tachycardia_count), sum(invalid_count) FROM fleet_minute`, `1 0 1`)
	wantSummaryIsExact(t, pool)
	for _, table := range partitionedTables {
		wantUnbroken(t, pool, table)
	}

	// What is too old already on arrival goes with the next round.
	mustWrite(t, store, claim, &pipeline.Batch{From: 8, To: 10, Readings: []pipeline.Reading{
		reading(8, 1, 75, now.Add(-9*time.Hour)), reading(9, 1, 75, noon),
	}})
	wantRows(t, pool, `SELECT DISTINCT tableoid::regclass::text FROM heartbeat_records WHERE kafka_offset IN (8, 9)`, `heartbeat_records_history`)
	mustMaintain(t, pool, 2*time.Hour)
	wantRows(t, pool, `SELECT kafka_offset FROM heartbeat_records`, `5`)
	wantRows(t, pool, `SELECT row_count FROM retired_rows WHERE table_name = 'heartbeat_records'`, `5`)
	wantSummaryIsExact(t, pool)
	wantUnbroken(t, pool, "heartbeat_records")
}

func TestWithoutRetentionNothingIsDropped(t *testing.T) {
	t.Parallel()
	store, pool := newStore(t)
	mustMaintain(t, pool, 0)
	claim := mustClaim(t, store, partition, 0)
	mustWrite(t, store, claim, batchOf(readings(0, 100)))
	mustMaintain(t, pool, 0)
	if n := count(t, pool, "heartbeat_records"); n != 100 {
		t.Errorf("%d records, want 100", n)
	}
}

// wantSummaryIsExact holds the totals of the view, which counts no rows, against the rows.
func wantSummaryIsExact(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	wantRows(t, pool, `
SELECT metric, total - CASE metric WHEN 'valid_records' THEN (SELECT count(*) FROM heartbeat_records)
                                   WHEN 'anomaly_records' THEN (SELECT count(*) FROM heartbeat_anomalies) END
  FROM vw_pipeline_summary ORDER BY metric`, `anomaly_records 0`, `valid_records 0`)
}
