package e2e_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A record without a Kafka timestamp (-1), or with that of a clock that was never set, is judged by its content: a tachycardia is stored
// and raises an alert, and a dead letter has no Kafka timestamp instead of one in 1969.
func TestRecordsWithoutAKafkaTimestamp(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P6")
	f := newFixture(t)
	var records []*kgo.Record
	unset := []int64{-1, 0, -2, 1, -1}
	for i, text := range []string{
		`{"customer_id":"CUST_00042","heart_rate":200,"timestamp":"2026-02-20T10:00:00Z"}`,
		`{"customer_id":"CUST_00042","heart_rate":75,"timestamp":"2026-02-20T10:00:05Z"}`,
		`{"customer_id":"CUST_00042","heart_rate":201,"timestamp":"2026-02-20T10:00:10Z","device_id":"w-7"}`,
		`{"customer_id":"CUST_00042","heart_rate":75,"timestamp":"1999-12-31T23:59:59Z"}`,
		`{`,
	} {
		records = append(records, &kgo.Record{Key: []byte("CUST_00042"), Value: []byte(text), Timestamp: time.UnixMilli(unset[i])})
	}
	f.send(records)
	f.drain("--retention", "24h")
	f.audit()
	if anomalies := value[int64](t, f.pool, `SELECT count(*) FROM heartbeat_anomalies WHERE anomaly_type = 'TACHYCARDIA'`); anomalies != 2 {
		t.Errorf("%d of 2 tachycardias are stored", anomalies)
	}
	if letters := value[int64](t, f.pool, `SELECT count(*) FROM dead_letters WHERE kafka_timestamp IS NULL`); letters != 2 {
		t.Errorf("%d dead letters have no Kafka timestamp, want 2", letters)
	}
}
