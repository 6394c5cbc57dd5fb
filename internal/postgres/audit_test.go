package postgres_test

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
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
)

func takeAudit(t testing.TB, pool *pgxpool.Pool) *postgres.Audit {
	t.Helper()
	audit, err := postgres.NewAudit(t.Context(), pool)
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
	store, pool := newStore(t)
	claim := mustClaim(t, store, partition, 5)
	batch := batchOf([]pipeline.Reading{reading(5, 1, 75, noon), reading(6, 1, 30, noon)})
	batch.To, batch.Skipped = 9, 1
	batch.DeadLetters = []heartbeat.DeadLetter{deadLetter(7, heartbeat.NotJSON, "", nil)}
	mustWrite(t, store, claim, batch)
	other := mustClaim(t, store, pipeline.Partition{Topic: "other"}, 0)
	mustWrite(t, store, other, batchOf(readings(0, 2)))

	audit := takeAudit(t, pool)
	mustWrite(t, store, claim, batchOf(readings(9, 10))) // after the moment
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
	logs, err := audit.Logs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantLogs := []postgres.LogState{
		{Topic: topic, TopicID: partition.TopicID, Label: topic, Partition: 2, Current: true, First: 5, Next: 9, Records: 1, Anomalies: 1, DeadLettered: 1, Skipped: 1},
		{Topic: "other", Label: "other", Current: true, Next: 2, Records: 2},
	}
	if diff := cmp.Diff(wantLogs, logs); diff != "" {
		t.Errorf("logs (-want +got):\n%s", diff)
	}
}

func TestAuditFindsAlertsThatAreNotTheirAnomalies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		harm string
		want []string
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
			store, pool := newStore(t)
			claim := mustClaim(t, store, partition, 0)
			batch := batchOf([]pipeline.Reading{reading(0, 1, 75, noon), reading(1, 1, 30, noon), reading(2, 1, 250, noon), reading(3, 1, -5, noon)})
			batch.Snapshot = &pipeline.Stats{Valid: 1}
			mustWrite(t, store, claim, batch)
			pgtest.Exec(t, pool, test.harm)
			if diff := cmp.Diff(test.want, contradictions(t, pool)); diff != "" {
				t.Errorf("contradictions (-want +got):\n%s", diff)
			}
		})
	}
}

// Anomalies go by the time of the event and alerts by the time of the transaction, so one can be gone before the other.
func TestAuditKnowsWhatRetentionDropped(t *testing.T) {
	t.Parallel()
	store, pool := newStore(t)
	mustMaintain(t, pool, 0)
	now := pgtest.Value[time.Time](t, pool, `SELECT now()`)
	claim := mustClaim(t, store, partition, 0)
	mustWrite(t, store, claim, batchOf([]pipeline.Reading{
		reading(0, 1, 30, now.Add(-9*time.Hour)), reading(1, 1, 30, now), reading(2, 1, 30, now),
	}))
	// As if this one had been stored days ago, by a device whose clock runs ahead.
	pgtest.Exec(t, pool, `UPDATE pipeline_metrics SET recorded_at = now() - interval '3 days' WHERE kafka_offset = 2`)
	pgtest.Exec(t, pool, `UPDATE heartbeat_anomalies SET ingestion_timestamp = now() - interval '3 days' WHERE kafka_offset = 2`)

	mustMaintain(t, pool, 3*time.Hour)
	wantRows(t, pool, `SELECT kafka_offset FROM heartbeat_anomalies ORDER BY 1`, `1`, `2`)
	wantRows(t, pool, `SELECT kafka_offset FROM pipeline_metrics ORDER BY 1`, `0`, `1`)
	if found := contradictions(t, pool); len(found) != 0 {
		t.Errorf("contradictions %q, want none", found)
	}
}
