package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Tables, columns, indexes and views have the contract's names.
func TestSchemaHasTheContractsNames(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for relation, want := range map[string][]string{
		"heartbeat_records": {"record_id", "customer_id", "heart_rate", "event_timestamp", "ingestion_timestamp", "kafka_topic", "kafka_partition", "kafka_offset"},
		"heartbeat_anomalies": {"anomaly_id", "customer_id", "heart_rate", "anomaly_type", "event_timestamp", "ingestion_timestamp", "kafka_topic", "kafka_partition",
			"kafka_offset", "raw_message"},
		"pipeline_metrics": {"metric_id", "metric_name", "metric_value", "metric_unit", "recorded_at"},
		"dead_letters": {"dead_letter_id", "kafka_topic", "kafka_partition", "kafka_offset", "reason", "detail", "customer_id", "raw_key", "raw_value", "raw_length",
			"raw_sha256", "recorded_at", "replayed_at"},
		"ingest_progress":         {"next_offset"},
		"vw_customer_bpm_summary": {"customer_id", "minute_bucket", "avg_bpm", "min_bpm", "max_bpm", "reading_count"},
		"vw_recent_anomalies":     {"customer_id", "heart_rate", "anomaly_type", "event_timestamp", "ingestion_timestamp"},
		"vw_pipeline_summary":     {"metric", "total"},
	} {
		have := texts(t, f.pool, `SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1`, relation)
		for _, column := range want {
			if !slices.Contains(have, column) {
				t.Errorf("%s has no column %s; it has %v", relation, column, have)
			}
		}
	}
	indexes := texts(t, f.pool, `SELECT indexname FROM pg_indexes WHERE schemaname = 'public'`)
	for _, index := range []string{"idx_heartbeat_event_ts", "idx_heartbeat_customer_ts", "idx_anomaly_event_ts", "idx_anomaly_customer_type"} {
		if !slices.Contains(indexes, index) {
			t.Errorf("there is no index %s", index)
		}
	}
}

// CHECK constraints refuse rows that violate the contract.
func TestTablesRefuseWhatTheContractRulesOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const source = `now(), 't', 0, 0`
	for name, statement := range map[string]string{
		"rate below 40":  `INSERT INTO heartbeat_records (customer_id, heart_rate, event_timestamp, kafka_topic, kafka_partition, kafka_offset) VALUES ('CUST_00001', 39, ` + source + `)`,
		"rate above 180": `INSERT INTO heartbeat_records (customer_id, heart_rate, event_timestamp, kafka_topic, kafka_partition, kafka_offset) VALUES ('CUST_00001', 181, ` + source + `)`,
		"ill-formed id":  `INSERT INTO heartbeat_records (customer_id, heart_rate, event_timestamp, kafka_topic, kafka_partition, kafka_offset) VALUES ('CUST_000042', 75, ` + source + `)`,
		"unknown type":   `INSERT INTO heartbeat_anomalies (customer_id, heart_rate, anomaly_type, raw_message, event_timestamp, kafka_topic, kafka_partition, kafka_offset) VALUES ('CUST_00001', 20, 'SLOW', '{}', ` + source + `)`,
	} {
		if _, err := f.pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s: the table took it", name)
		}
	}
}

// Under live traffic the views return rows, snapshots are written, and rows keep arriving.
func TestLiveTrafficFillsViewsAndMetrics(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	producer := f.produce("--rate", "500", "--customers", "50", "--seed", "4")
	consumer := f.consume()
	f.storedMore(2_000)
	for _, view := range []string{"vw_customer_bpm_summary", "vw_recent_anomalies", "vw_pipeline_summary"} {
		await(t, waitTimeout, func() string {
			if value[int64](t, f.pool, `SELECT count(*) FROM `+view) == 0 {
				return view + " is empty"
			}
			return ""
		})
	}
	consumer.waitForOutput("Stats | valid=")
	consumer.waitForOutput("*** ANOMALY ALERT ***")
	producer.interrupt()
	f.caughtUp(waitTimeout)
	consumer.interrupt()
	f.audit()

	want := map[string]int64{
		"valid_records":   value[int64](t, f.pool, `SELECT count(*) FROM heartbeat_records`),
		"anomaly_records": value[int64](t, f.pool, `SELECT count(*) FROM heartbeat_anomalies`),
	}
	have := map[string]int64{}
	scan(t, f.pool, `SELECT metric, total FROM vw_pipeline_summary`, func(rows pgx.Rows) error {
		var metric string
		var total int64
		err := rows.Scan(&metric, &total)
		have[metric] = total
		return err
	})
	if difference := cmp.Diff(want, have); difference != "" {
		t.Errorf("vw_pipeline_summary against the tables (-want +have):\n%s", difference)
	}
	snapshots := texts(t, f.pool, `SELECT DISTINCT metric_name FROM pipeline_metrics WHERE metric_unit = 'records' ORDER BY 1`)
	if difference := cmp.Diff([]string{"anomaly_processed", "errors", "valid_processed"}, snapshots); difference != "" {
		t.Errorf("statistics snapshots (-want +have):\n%s", difference)
	}
}

// Two Heartbeats share a database, each in a schema of its own, beside another application's table under one of our names.
func TestTwoHeartbeatsShareADatabase(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P2, P6")
	database := sharedDatabase(t).create(t)
	other := connect(t, database)
	if _, err := other.Exec(t.Context(), `CREATE TABLE dead_letters (id integer)`); err != nil {
		t.Fatal(err)
	}
	refused := start(t, command{arguments: []string{"migrate"}, environment: []string{"DATABASE_URL=" + database}})
	refused.wait(waitTimeout)
	if text := refused.output.String(); refused.err == nil || !strings.Contains(text, "POSTGRES_SCHEMA") {
		t.Errorf("migrate into public: %v, want it refused with advice:\n%s", refused.err, text)
	}
	var wards []*fixture
	for i, schema := range []string{"ward_a", "ward_b"} {
		f := &fixture{t: t, broker: sharedBroker(t).address(), database: database, schema: schema}
		f.setUp()
		f.produce("--max-events", "2000", "--rate", "2000", "--seed", fmt.Sprint(80+i)).succeed(waitTimeout)
		wards = append(wards, f)
	}
	var consumers []*role
	for _, f := range wards {
		consumers = append(consumers, f.consume("--until-caught-up"))
	}
	for i, f := range wards {
		consumers[i].succeed(waitTimeout)
		auditSending(t, f.audit())
		if text := f.run("doctor", "--brokers", f.broker, "--topic", f.topic, "--group", f.group); !strings.Contains(text, f.schema) {
			t.Errorf("doctor does not name the schema %s:\n%s", f.schema, text)
		}
	}
	if tables := texts(t, other, `SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace`); !slices.Equal(tables, []string{"dead_letters"}) {
		t.Errorf("public holds %v, want the other application's table alone", tables)
	}
}

// texts returns the single text column that a query gives.
func texts(t testing.TB, pool *pgxpool.Pool, query string, arguments ...any) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), query, arguments...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return found
}
