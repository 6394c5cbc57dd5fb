package ingest_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"heartbeat/internal/postgres/pgtest"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
)

func TestWriteStoresEveryKindOfRow(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 100)
	bad := pgtest.DeadLetter(105, heartbeat.NotJSON, "unexpected end", []byte("{"))
	bad.Key, bad.Customer = []byte{}, "CUST_00009"
	pgtest.MustWrite(t, store, claim, &pipeline.Batch{
		From: 100, To: 107, Epoch: 3, StateFrom: 107, Skipped: 1,
		Readings: []pipeline.Reading{
			pgtest.Reading(100, 2, 75, pgtest.Noon), pgtest.Reading(101, 123_456, 181, pgtest.Noon), pgtest.Reading(102, 1, 39.9, pgtest.Noon),
			pgtest.Reading(103, 1, 180, pgtest.Noon.Add(time.Minute)), pgtest.Reading(104, 999_999_999, 1e300, pgtest.Noon),
		},
		DeadLetters: []heartbeat.DeadLetter{bad},
		Customers: []pipeline.CustomerState{
			{Reading: pgtest.Reading(0, 2, 75, pgtest.Noon).Reading, Offset: 100},
			{Reading: pgtest.Reading(0, 1, 180, pgtest.Noon.Add(time.Minute)).Reading, Offset: 103},
		},
		Snapshot: &pipeline.Stats{Valid: 2, Anomalies: 3, Errors: 1},
	})

	pgtest.WantRows(t, pool, `
SELECT customer_id, heart_rate, event_timestamp, kafka_topic, kafka_partition, kafka_offset,
       ingestion_timestamp <= now() AND ingestion_timestamp > now() - interval '1 minute' AS recent
  FROM heartbeat_records ORDER BY kafka_offset`,
		`CUST_00002 75 2026-02-20T12:00:00.123456Z heartbeat-events 2 100 true`,
		`CUST_00001 180 2026-02-20T12:01:00.123456Z heartbeat-events 2 103 true`)
	pgtest.WantRows(t, pool, `
SELECT customer_id, heart_rate, anomaly_type, event_timestamp, kafka_topic, kafka_partition, kafka_offset, raw_message
  FROM heartbeat_anomalies ORDER BY kafka_offset`,
		`CUST_123456 181 TACHYCARDIA 2026-02-20T12:00:00.123456Z heartbeat-events 2 101 {"customer_id":"CUST_123456","heart_rate":181,"timestamp":"2026-02-20T12:00:00.123456Z"}`,
		`CUST_00001 39 BRADYCARDIA 2026-02-20T12:00:00.123456Z heartbeat-events 2 102 {"customer_id":"CUST_00001","heart_rate":39.9,"timestamp":"2026-02-20T12:00:00.123456Z"}`,
		`CUST_999999999 2147483647 INVALID 2026-02-20T12:00:00.123456Z heartbeat-events 2 104 {"customer_id":"CUST_999999999","heart_rate":1e+300,"timestamp":"2026-02-20T12:00:00.123456Z"}`)
	pgtest.WantRows(t, pool, `
SELECT metric_name, metric_value::numeric, metric_unit, kafka_topic, kafka_partition, kafka_offset, event_timestamp
  FROM pipeline_metrics ORDER BY kafka_offset, metric_name`,
		`alert_tachycardia 181 bpm heartbeat-events 2 101 2026-02-20T12:00:00.123456Z`,
		`alert_bradycardia 39 bpm heartbeat-events 2 102 2026-02-20T12:00:00.123456Z`,
		`alert_invalid 2147483647 bpm heartbeat-events 2 104 2026-02-20T12:00:00.123456Z`,
		`anomaly_processed 3 records <nil> <nil> <nil> <nil>`,
		`errors 1 records <nil> <nil> <nil> <nil>`,
		`valid_processed 2 records <nil> <nil> <nil> <nil>`)
	pgtest.WantRows(t, pool, `
SELECT kafka_topic, kafka_partition, kafka_offset, kafka_timestamp, reason, detail, customer_id, raw_key = ''::bytea,
       convert_from(raw_value, 'UTF8'), raw_length, raw_sha256 = sha256('{'), replayed_at
  FROM dead_letters`,
		`heartbeat-events 2 105 2026-02-20T12:00:00.123456Z not_json unexpected end CUST_00009 true { 1 true <nil>`)
	pgtest.WantRows(t, pool, `SELECT * FROM fleet_minute ORDER BY minute`,
		`2026-02-20T12:00:00Z heartbeat-events 2 1 75 75 75 1 1 1`,
		`2026-02-20T12:01:00Z heartbeat-events 2 1 180 180 180 0 0 0`)
	pgtest.WantRows(t, pool, `
SELECT customer_id, heart_rate, class, event_timestamp, kafka_topic, kafka_partition, kafka_offset FROM customer_state ORDER BY customer_id`,
		`CUST_00001 180 NORMAL 2026-02-20T12:01:00.123456Z heartbeat-events 2 103`,
		`CUST_00002 75 NORMAL 2026-02-20T12:00:00.123456Z heartbeat-events 2 100`)
	pgtest.WantRows(t, pool, `
SELECT kafka_topic, partition, topic_id::text, topic_name, incarnation, first_offset, next_offset, leader_epoch, state_from,
       stored, anomalies, dead_lettered, skipped, lost, owner
  FROM ingest_progress`,
		`heartbeat-events 2 01000000-0000-0000-0000-000000000000 heartbeat-events 1 100 107 3 107 2 3 1 1 0 test`)
	pgtest.WantRows(t, pool, `SELECT * FROM vw_pipeline_summary ORDER BY metric`, `anomaly_records 3`, `valid_records 2`)
}

func TestCustomerStateKeepsWhatLaterReadingsOmitOfTheDevice(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	for offset, step := range []struct {
		device *heartbeat.Device
		want   string
	}{
		{nil, `<nil> <nil> <nil> <nil>`},
		{&heartbeat.Device{ID: "w-7", Battery: 0.75, Contact: heartbeat.InContact, Steps: 12}, `w-7 0.75 true 12`},
		{&heartbeat.Device{ID: "w-7", Battery: -1, Contact: heartbeat.NoContact, Steps: -1}, `w-7 0.75 false 12`},
		{nil, `w-7 0.75 false 12`},
		{&heartbeat.Device{ID: "w-8", Battery: -1, Steps: 0}, `w-8 <nil> <nil> 0`},
		{&heartbeat.Device{Battery: 0, Steps: -1}, ` 0 <nil> <nil>`},
	} {
		at := int64(offset)
		state := pipeline.CustomerState{Reading: pgtest.Reading(at, 7, 60, pgtest.Noon.Add(time.Duration(at)*time.Second)).Reading, Offset: at, Device: step.device}
		pgtest.MustWrite(t, store, claim, &pipeline.Batch{From: 0, To: 0, Customers: []pipeline.CustomerState{state}})
		pgtest.WantRows(t, pool, `SELECT device_id, battery, contact, steps FROM customer_state`, step.want)
	}
	late := pipeline.CustomerState{Reading: pgtest.Reading(9, 7, 60, pgtest.Noon).Reading, Offset: 9, Device: &heartbeat.Device{ID: "old", Battery: 1, Steps: -1}}
	pgtest.MustWrite(t, store, claim, &pipeline.Batch{From: 0, To: 0, Customers: []pipeline.CustomerState{late}})
	pgtest.WantRows(t, pool, `SELECT device_id, battery FROM customer_state`, ` 0`)
}

// A record's bytes and a rejection's words may be anything.
func TestWriteStoresWhateverBytesADeadLetterHas(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	value := []byte{0, 0xff, '\'', '\\', 'x'}
	odd := pgtest.DeadLetter(0, heartbeat.BadUTF8, "nul \x00 and \xff bytes", value)
	odd.Customer, odd.Timestamp = "CUST\x00\xc3", time.UnixMilli(math.MaxInt64/1000)
	none := pgtest.DeadLetter(1, heartbeat.Empty, "", nil)
	ancient := pgtest.DeadLetter(2, heartbeat.TooLarge, strings.Repeat("ü", 200), value)
	ancient.Timestamp, ancient.Length = time.UnixMilli(-1), 5<<20
	pgtest.MustWrite(t, store, claim, &pipeline.Batch{From: 0, To: 3, DeadLetters: []heartbeat.DeadLetter{odd, none, ancient}})

	pgtest.WantRows(t, pool, `
SELECT detail, customer_id, encode(raw_value, 'hex'), raw_key IS NULL, raw_length, kafka_timestamp
  FROM dead_letters ORDER BY kafka_offset`,
		"nul \uFFFD and \uFFFD bytes CUST\uFFFD\uFFFD 00ff275c78 true 5 <nil>",
		" <nil> <nil> true 0 2026-02-20T12:00:00.123456Z",
		strings.Repeat("ü", 200)+" <nil> 00ff275c78 true 5242880 1969-12-31T23:59:59.999Z")
}

func TestWriteWithoutReadingsMovesProgressAlone(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, &pipeline.Batch{From: 0, To: 4, Epoch: 1, Skipped: 4})
	pgtest.MustWrite(t, store, claim, &pipeline.Batch{From: 4, To: 4, Epoch: 1, StateFrom: 4,
		Customers: []pipeline.CustomerState{{Reading: pgtest.Reading(0, 7, 60, pgtest.Noon).Reading, Offset: 3}}})
	pgtest.WantRows(t, pool, `SELECT next_offset, skipped, state_from FROM ingest_progress`, `4 4 4`)
	if n := pgtest.Count(t, pool, "customer_state"); n != 1 {
		t.Errorf("%d customer states, want 1", n)
	}
}

func TestWriteWithoutEffectWhereProgressIsNotTheClaims(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(0, 10)))

	pgtest.WantKind(t, store.Write(t.Context(), claim, pgtest.BatchOf(pgtest.Readings(0, 10))), pipeline.Stale)  // redelivered
	pgtest.WantKind(t, store.Write(t.Context(), claim, pgtest.BatchOf(pgtest.Readings(11, 10))), pipeline.Stale) // ahead
	newer := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.WantKind(t, store.Write(t.Context(), claim, pgtest.BatchOf(pgtest.Readings(10, 10))), pipeline.Stale) // fenced
	other := newer
	other.Log = "other"
	pgtest.WantKind(t, store.Write(t.Context(), other, pgtest.BatchOf(pgtest.Readings(10, 10))), pipeline.Stale)

	if n := pgtest.Count(t, pool, "heartbeat_records"); n != 10 {
		t.Errorf("%d records, want 10", n)
	}
	pgtest.WantRows(t, pool, `SELECT sum(valid_count) FROM fleet_minute`, `10`)
	pgtest.MustWrite(t, store, newer, pgtest.BatchOf(pgtest.Readings(10, 10)))
}

func TestWriteRefusesABatchThatForgetsOffsets(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	batch := pgtest.BatchOf(pgtest.Readings(0, 10))
	batch.To++
	pgtest.WantKind(t, store.Write(t.Context(), claim, batch), pipeline.Fatal)
	if n := pgtest.Count(t, pool, "heartbeat_records"); n != 0 {
		t.Errorf("%d records, want none", n)
	}
}

// Two processes that both believe to own a partition race for every batch: one wins each, none is stored twice.
func TestWritersOfOnePartitionStoreEachBatchOnce(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	const writers, batches, size = 4, 20, 25
	won := make([][]bool, writers)
	var group sync.WaitGroup
	for writer := range won {
		won[writer] = make([]bool, batches)
		group.Go(func() {
			for i := range won[writer] {
				err := store.Write(t.Context(), claim, pgtest.BatchOf(pgtest.Readings(int64(i)*size, size)))
				if err != nil && pipeline.KindOf(err) != pipeline.Stale {
					t.Errorf("writer %d, batch %d: %v", writer, i, err)
				}
				won[writer][i] = err == nil
			}
		})
	}
	group.Wait()
	for i := range batches {
		winners := 0
		for writer := range won {
			if won[writer][i] {
				winners++
			}
		}
		if winners != 1 {
			t.Errorf("batch %d was stored by %d writers", i, winners)
		}
	}
	pgtest.WantRows(t, pool, `SELECT count(*), count(DISTINCT kafka_offset) FROM heartbeat_records`, fmt.Sprintf("%d %[1]d", batches*size))
}

// An escaped NUL in a further field of a message is text of six characters, which PostgreSQL stores.
func TestEscapedNULIsStored(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	reading := pgtest.Reading(0, 1, 200, pgtest.Noon)
	reading.Raw = []byte(`{"customer_id":"CUST_00001","heart_rate":200,"timestamp":"2026-02-20T12:00:00Z","note":"\u0000"}`)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf([]pipeline.Reading{reading}))
	pgtest.WantRows(t, pool, `SELECT raw_message FROM heartbeat_anomalies`, string(reading.Raw))
}
