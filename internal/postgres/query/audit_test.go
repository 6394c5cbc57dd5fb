package query_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/progress"
)

func takeAudit(t testing.TB, pool *pgxpool.Pool) *query.AuditSnapshot {
	t.Helper()
	audit, err := query.NewAuditSnapshot(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { audit.Close(context.Background()) })
	return audit
}

func contradictions(t testing.TB, pool *pgxpool.Pool) []string {
	t.Helper()
	found, err := takeAudit(t, pool).Contradictions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, c := range found {
		texts = append(texts, fmt.Sprintf("%s/%d/%d: %s", c.Label, c.Partition, c.Offset, c.Detail))
	}
	slices.Sort(texts)
	return texts
}

func TestAuditVisitsEveryStoredOffsetOfOneMoment(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 5)
	batch := pgtest.BatchOf([]pipeline.Reading{pgtest.Reading(5, 1, 75, pgtest.Noon), pgtest.Reading(6, 1, 30, pgtest.Noon)})
	batch.To, batch.Skipped = 9, 1
	batch.DeadLetters = []heartbeat.DeadLetter{pgtest.DeadLetter(7, heartbeat.NotJSON, "", nil)}
	pgtest.MustWrite(t, store, claim, batch)
	other := pgtest.MustClaim(t, store, pipeline.Partition{Topic: "other"}, 0)
	pgtest.MustWrite(t, store, other, pgtest.BatchOf(pgtest.Readings(0, 2)))

	audit := takeAudit(t, pool)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(9, 10))) // after the moment
	var got []string
	err := audit.Offsets(t.Context(), func(label string, partition int32, offset int64) {
		got = append(got, fmt.Sprintf("%s/%d/%d", label, partition, offset))
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	want := []string{"heartbeat-events/2/5", "heartbeat-events/2/6", "heartbeat-events/2/7", "other/0/0", "other/0/1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("offsets (-want +got):\n%s", diff)
	}
	logs, err := audit.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantLogs := []progress.Stored{
		{Topic: pgtest.Topic, TopicID: pgtest.Partition.TopicID, Log: pgtest.Topic, Partition: 2, First: 5, Next: 9, Records: 1, Anomalies: 1, DeadLettered: 1, Skipped: 1},
		{Topic: "other", Log: "other", Next: 2, Records: 2},
	}
	for i := range logs {
		logs[i].Owner, logs[i].UpdatedAt = "", nil
	}
	if diff := cmp.Diff(wantLogs, logs); diff != "" {
		t.Errorf("logs (-want +got):\n%s", diff)
	}
}

func TestAuditFindsAlertsThatAreNotTheirAnomalies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change string
		want   []string
	}{
		"nothing wrong":         {`SELECT`, nil},
		"anomaly without alert": {`DELETE FROM pipeline_metrics WHERE kafka_offset = 1`, []string{"heartbeat-events/2/1: an anomaly without an alert"}},
		"alert without anomaly": {`DELETE FROM heartbeat_anomalies WHERE kafka_offset = 1`, []string{"heartbeat-events/2/1: an alert without an anomaly"}},
		"alert of nothing":      {`INSERT INTO pipeline_metrics (metric_name, metric_value, metric_unit) VALUES ('alert_invalid', 0, 'bpm')`, []string{"/0/0: an alert without an anomaly"}},
		"wrong value":           {`UPDATE pipeline_metrics SET metric_value = 31 WHERE kafka_offset = 1`, []string{"heartbeat-events/2/1: an alert that is not its anomaly's"}},
		"wrong name":            {`UPDATE pipeline_metrics SET metric_name = 'alert_invalid' WHERE kafka_offset = 1`, []string{"heartbeat-events/2/1: an alert that is not its anomaly's"}},
		"stored twice": {`INSERT INTO pipeline_metrics (metric_name, metric_value, metric_unit, kafka_topic, kafka_partition, kafka_offset, event_timestamp)
			SELECT metric_name, metric_value, metric_unit, kafka_topic, kafka_partition, kafka_offset, event_timestamp FROM pipeline_metrics WHERE kafka_offset = 1`,
			[]string{"heartbeat-events/2/1: an alert stored 2 times"}},
		"valid reading out of range": {`ALTER TABLE heartbeat_records DROP CONSTRAINT heartbeat_records_heart_rate_normal; UPDATE heartbeat_records SET heart_rate = 39`,
			[]string{"heartbeat-events/2/0: a reading of 39 bpm among the valid ones"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, pool := pgtest.NewStore(t)
			claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
			batch := pgtest.BatchOf([]pipeline.Reading{pgtest.Reading(0, 1, 75, pgtest.Noon), pgtest.Reading(1, 1, 30, pgtest.Noon), pgtest.Reading(2, 1, 250, pgtest.Noon), pgtest.Reading(3, 1, -5, pgtest.Noon)})
			batch.Snapshot = &pipeline.Stats{Valid: 1}
			pgtest.MustWrite(t, store, claim, batch)
			pgtest.Exec(t, pool, test.change)
			if diff := cmp.Diff(test.want, contradictions(t, pool)); diff != "" {
				t.Errorf("contradictions (-want +got):\n%s", diff)
			}
		})
	}
}

// Anomalies go by the time of the event and alerts by the time of the transaction, so one can be gone before the other.
func TestAuditKnowsWhatRetentionDropped(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	pgtest.MustMaintain(t, pool, 0)
	now := pgtest.Value[time.Time](t, pool, `SELECT now()`)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf([]pipeline.Reading{
		pgtest.Reading(0, 1, 30, now.Add(-9*time.Hour)), pgtest.Reading(1, 1, 30, now), pgtest.Reading(2, 1, 30, now),
	}))
	// As if this one had been stored days ago, by a device whose clock runs ahead.
	pgtest.Exec(t, pool, `UPDATE pipeline_metrics SET recorded_at = now() - interval '3 days' WHERE kafka_offset = 2`)
	pgtest.Exec(t, pool, `UPDATE heartbeat_anomalies SET ingestion_timestamp = now() - interval '3 days' WHERE kafka_offset = 2`)

	pgtest.MustMaintain(t, pool, 3*time.Hour)
	pgtest.WantRows(t, pool, `SELECT kafka_offset FROM heartbeat_anomalies ORDER BY 1`, `1`, `2`)
	pgtest.WantRows(t, pool, `SELECT kafka_offset FROM pipeline_metrics ORDER BY 1`, `0`, `1`)
	if found := contradictions(t, pool); len(found) != 0 {
		t.Errorf("contradictions %q, want none", found)
	}
}
