package ingest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/readmodel"
)

// A bug in a decoder, say, refused a good reading: under the rules of a later binary it is stored after all, once.
func TestReplayStoresAReadingInItsPlaceOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := ingest.NewStore(pool, "test")
	partition := pipeline.Partition{Topic: "heartbeat-events", TopicID: [16]byte{1}, Number: 2}
	claim, err := store.Claim(t.Context(), partition, 0)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	good := heartbeat.Event{Customer: 42, Rate: 35, Time: now}.AppendJSON(nil)
	records := []heartbeat.Record{
		{Offset: 0, Timestamp: now, Value: good},
		{Offset: 1, Timestamp: now, Value: []byte("{")},
		{Offset: 2, Timestamp: now, Value: []byte(strings.Repeat(" ", heartbeat.MaxDeadLetterBytes) + string(good))},
	}
	batch := &pipeline.Batch{From: 0, To: 3, Epoch: -1}
	for _, record := range records {
		batch.DeadLetters = append(batch.DeadLetters, heartbeat.NewDeadLetter(record, heartbeat.Reject(heartbeat.RejectedByDatabase, "yesterday's bug")))
	}
	if err := store.Write(t.Context(), claim, batch); err != nil {
		t.Fatal(err)
	}
	var decoder heartbeat.Decoder
	replayer := ingest.NewReplayer(store, decoder.Decode)
	for _, want := range []struct {
		offset          int64
		outcome, detail string
	}{
		{0, ingest.ReplayStored, "CUST_00042 35 bpm, BRADYCARDIA"},
		{0, ingest.ReplayAlready, "was stored at"},
		{1, ingest.ReplayRejected, "not_json"},
		{2, ingest.ReplayRejected, "only the first 65536"},
	} {
		id := pgtest.Value[int64](t, pool, `SELECT dead_letter_id FROM dead_letters WHERE kafka_offset = $1`, want.offset)
		got, err := replayer.Replay(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if got.Outcome != want.outcome || !strings.Contains(got.Detail, want.detail) {
			t.Errorf("replay of offset %d: %+v, want %s with %q", want.offset, got, want.outcome, want.detail)
		}
	}
	for query, want := range map[string]int64{
		`SELECT count(*) FROM heartbeat_anomalies WHERE kafka_offset = 0 AND kafka_partition = 2 AND kafka_topic = 'heartbeat-events' AND heart_rate = 35`: 1,
		`SELECT count(*) FROM pipeline_metrics WHERE metric_name = 'alert_bradycardia' AND kafka_offset = 0`:                                               1,
		`SELECT count(*) FROM dead_letters WHERE replayed_at IS NULL`:                                                                                      2,
		`SELECT dead_lettered FROM ingest_progress`:                                                                                                        2,
		`SELECT anomalies FROM ingest_progress`:                                                                                                            1,
		`SELECT sum(bradycardia_count)::bigint FROM fleet_minute`:                                                                                          1,
		`SELECT count(*) FROM customer_state WHERE customer_id = 'CUST_00042'`:                                                                             1,
	} {
		if got := pgtest.Value[int64](t, pool, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	if _, err := replayer.Replay(t.Context(), 1_000_000); !errors.Is(err, readmodel.ErrNotFound) {
		t.Errorf("replay of an unknown id: %v, want ErrNotFound", err)
	}
}
