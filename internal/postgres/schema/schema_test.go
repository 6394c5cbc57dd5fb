package schema_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgtest"
)

// Other people's dashboards and scripts rely on these names.
func TestSchemaHasTheNamesOfTheContract(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	for relation, columns := range map[string]string{
		"heartbeat_records":       "record_id customer_id heart_rate event_timestamp ingestion_timestamp kafka_topic kafka_partition kafka_offset",
		"heartbeat_anomalies":     "anomaly_id customer_id heart_rate anomaly_type event_timestamp ingestion_timestamp kafka_topic kafka_partition kafka_offset raw_message",
		"pipeline_metrics":        "metric_id metric_name metric_value metric_unit recorded_at",
		"dead_letters":            "dead_letter_id kafka_topic kafka_partition kafka_offset reason detail customer_id raw_key raw_value raw_length raw_sha256 recorded_at replayed_at",
		"ingest_progress":         "topic_id partition next_offset leader_epoch fence",
		"vw_customer_bpm_summary": "customer_id minute_bucket avg_bpm min_bpm max_bpm reading_count",
		"vw_recent_anomalies":     "customer_id heart_rate anomaly_type event_timestamp ingestion_timestamp",
		"vw_pipeline_summary":     "metric total",
	} {
		for column := range strings.FieldsSeq(columns) {
			if pgtest.Value[int](t, pool, `
SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1 AND column_name = $2`, relation, column) != 1 {
				t.Errorf("%s has no column %s", relation, column)
			}
		}
	}
	pgtest.WantRows(t, pool, `
SELECT table_name, column_name, data_type FROM information_schema.columns
 WHERE column_name IN ('event_timestamp', 'ingestion_timestamp', 'record_id', 'anomaly_id', 'metric_id', 'dead_letter_id')
   AND table_name IN ('heartbeat_records', 'heartbeat_anomalies', 'pipeline_metrics', 'dead_letters')
   AND data_type NOT IN ('bigint', 'timestamp with time zone')`, []string{}...)
	for index, definition := range map[string]string{
		"idx_heartbeat_event_ts":    "(event_timestamp)",
		"idx_heartbeat_customer_ts": "(customer_id, event_timestamp DESC)",
		"idx_anomaly_event_ts":      "(event_timestamp DESC)",
		"idx_anomaly_customer_type": "(customer_id, anomaly_type, event_timestamp DESC)",
	} {
		if got := pgtest.Value[string](t, pool, `SELECT pg_get_indexdef($1::regclass)`, index); !strings.HasSuffix(got, definition) {
			t.Errorf("%s is %s, want it on %s", index, got, definition)
		}
	}
}

func TestChecksRefuseWhatTheContractRefuses(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	const record = `INSERT INTO heartbeat_records (customer_id, heart_rate, event_timestamp, kafka_topic, kafka_partition, kafka_offset) VALUES ('%s', %d, now(), 't', 0, 0)`
	const anomaly = `INSERT INTO heartbeat_anomalies (customer_id, heart_rate, anomaly_type, event_timestamp, kafka_topic, kafka_partition, kafka_offset, raw_message) VALUES ('%s', 300, '%s', now(), 't', 0, 0, '{}')`
	for sql, want := range map[string]bool{
		fmt.Sprintf(record, "CUST_00001", 40):             true,
		fmt.Sprintf(record, "CUST_00001", 180):            true,
		fmt.Sprintf(record, "CUST_00001", 39):             false,
		fmt.Sprintf(record, "CUST_00001", 181):            false,
		fmt.Sprintf(record, "CUST_1", 75):                 false,
		fmt.Sprintf(record, "", 75):                       false,
		fmt.Sprintf(anomaly, "CUST_00001", "INVALID"):     true,
		fmt.Sprintf(anomaly, "CUST_00001", "NORMAL"):      false,
		fmt.Sprintf(anomaly, "CUST_012345", "INVALID"):    false,
		fmt.Sprintf(anomaly, "CUST_999999999", "INVALID"): true,
	} {
		if _, err := pool.Exec(t.Context(), sql); (err == nil) != want {
			t.Errorf("%s: %v, want it accepted: %t", sql, err, want)
		}
	}
}

// The CHECK on customer ids is written for speed. It must say what the contract's regular expression says.
func TestCustomerCheckIsTheContractsExpression(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	for _, table := range []string{"heartbeat_records", "heartbeat_anomalies"} {
		condition := pgtest.Value[string](t, pool, `
SELECT substring(pg_get_constraintdef(oid) FROM 'CHECK (.*)') FROM pg_constraint
 WHERE conname = $1 AND conrelid = $2::regclass`, table+"_customer_id_wellformed", table)
		sql := `SELECT array_agg(customer_id) FROM (SELECT x COLLATE "C" AS customer_id FROM unnest($1::text[]) AS x) AS ids
 WHERE (customer_id ~ '^CUST_([0-9]{5}|[1-9][0-9]{5,8})$') IS DISTINCT FROM ` + condition
		check := func(t testing.TB, ids []string) {
			t.Helper()
			if odd := pgtest.Value[[]string](t, pool, sql, ids); len(odd) > 0 {
				t.Errorf("%s and the contract differ on %q", table, odd)
			}
		}
		check(t, []string{
			"", "CUST_", "CUST_0000", "CUST_00000", "CUST_99999", "CUST_000000", "CUST_012345", "CUST_100000", "CUST_999999999",
			"CUST_1000000000", "CUST_0000\n", "CUST_00001\n", "\nCUST_00001", " CUST_00001", "CUST_00001 ", "cust_00001", "CUST-00001",
			"CUST_0000a", "CUST_a0000", "CUST_00a00", "CUST_+0001", "CUST_-0001", "CUST_1e005", "CUST_0x001", "CUST__0001", "CUST_00_01",
			`CUST_\060000`, `CUST\13700001`, "CUST_０１２３４", "CUST_٠١٢٣٤", "CUST_0000\u0661", "CUST_1234é", "CUST_:0000", "CUST_/0000",
			"CUST_123456", "CUST_:00000", "CUST_/00000", "12345CUST_", "00000", "CUST_CUST_00000", "XUST_00001", "CUST_00001CUST_00001",
		})
		rapid.Check(t, func(rt *rapid.T) {
			check(t, rapid.SliceOfN(rapid.StringMatching(`(CUST_|CUST|)[0-9_:/ a]{0,3}[0-9]{0,10}[0-9a\n]?`), 1, 50).Draw(rt, "ids"))
		})
	}
}

func TestViewsShowTheLastHour(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	pgtest.MustMaintain(t, pool, 0)
	minute := pgtest.Value[time.Time](t, pool, `SELECT now()`).Add(-10 * time.Minute).Truncate(time.Minute)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf([]pipeline.Reading{
		pgtest.Reading(0, 1, 70, minute), pgtest.Reading(1, 1, 75, minute.Add(time.Second)), pgtest.Reading(2, 1, 75, minute.Add(59*time.Second)),
		pgtest.Reading(3, 1, 90, minute.Add(time.Minute)), pgtest.Reading(4, 2, 60, minute), pgtest.Reading(5, 1, 50, minute.Add(-time.Hour)),
		pgtest.Reading(6, 1, 250, minute), pgtest.Reading(7, 2, 0, minute.Add(time.Second)), pgtest.Reading(8, 2, 20, minute.Add(-30*time.Minute)),
	}))
	stamp := func(d time.Duration) string { return minute.Add(d).UTC().Format(time.RFC3339) }
	pgtest.WantRows(t, pool, `SELECT * FROM vw_customer_bpm_summary ORDER BY customer_id, minute_bucket`,
		"CUST_00001 "+stamp(0)+" 73.3 70 75 3",
		"CUST_00001 "+stamp(time.Minute)+" 90.0 90 90 1",
		"CUST_00002 "+stamp(0)+" 60.0 60 60 1")
	pgtest.WantRows(t, pool, `SELECT customer_id, heart_rate, anomaly_type, event_timestamp FROM vw_recent_anomalies`,
		"CUST_00002 0 INVALID "+stamp(time.Second),
		"CUST_00001 250 TACHYCARDIA "+stamp(0))
}

// Counting dead letters and losses in the progress leaves no offset out: the database itself refuses a row that does.
func TestProgressThatForgetsOffsetsIsRefused(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, &pipeline.Batch{From: 0, To: 2, Skipped: 1,
		DeadLetters: []heartbeat.DeadLetter{pgtest.DeadLetter(0, heartbeat.Empty, "", nil)}})
	if _, err := pool.Exec(t.Context(), `UPDATE ingest_progress SET next_offset = next_offset + 1`); err == nil {
		t.Error("an offset that nothing accounts for was accepted")
	}
}
