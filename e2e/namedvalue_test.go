package e2e_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Every value that the contract names is stored once with its class and integer, or as a dead letter with its reason, and
// its neighbours are stored.
func TestEveryNamedValueThroughTheWholePath(t *testing.T) {
	t.Parallel()
	proves(t, "P1")
	f := newFixture(t)
	now := time.Now().Truncate(time.Millisecond)
	cases := boundaryCases(now)
	var records []*kgo.Record
	for i, c := range cases {
		partition := int32(i % 3)
		records = append(records,
			&kgo.Record{Partition: partition, Timestamp: now, Key: []byte("CUST_00042"), Value: c.value},
			&kgo.Record{Partition: partition, Timestamp: now, Key: []byte("CUST_00007"), Value: event("CUST_00007", "75", formatTimestamp(now))})
	}
	f.send(records)
	f.drain()
	f.audit()

	have := readTables(t, f.pool)
	for i, c := range cases {
		id := recordID{f.topic, records[2*i].Partition, records[2*i].Offset}
		got := have.records[id]
		if got.Class != c.class || got.Reason != c.reason || got.BPM != c.bpm {
			t.Errorf("%s: stored %v, want class %q, bpm %d, reason %q; value %.80q", c.name, got, c.class, c.bpm, c.reason, c.value)
		}
	}
}

// With a retention, an event older than that before its Kafka timestamp is a dead letter; one just within is stored.
func TestRetentionRefusesWhatIsTooOld(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P10")
	f := newFixture(t)
	const retention = 48 * time.Hour
	now := time.Now().Truncate(time.Millisecond)
	var records []*kgo.Record
	for _, age := range []time.Duration{0, retention - time.Second, retention, retention + time.Microsecond, 24 * 365 * time.Hour} {
		records = append(records, &kgo.Record{Timestamp: now, Key: []byte("CUST_00042"), Value: event("CUST_00042", "75", formatTimestamp(now.Add(-age)))})
	}
	f.send(records)
	f.drain("--retention", retention.String())
	f.auditAgainst(readTopic(t, f.broker, f.topic, f.topic, retention))
	if dead := value[int64](t, f.pool, `SELECT count(*) FROM dead_letters WHERE reason = 'timestamp_out_of_range'`); dead != 2 {
		t.Errorf("%d readings are dead letters for their age, want 2", dead)
	}
}
