package e2e_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// recordID identifies a record. Log is the label in the rows: the topic's name, with a suffix for a recreated topic.
type recordID struct {
	Log       string
	Partition int32
	Offset    int64
}

// storedRecord is what is stored, or must be stored, for one record.
type storedRecord struct {
	outcome
	Length int64    // of a dead letter's value
	Digest [32]byte // of the value: of a dead letter the whole, of an anomaly its text; zero for a normal reading
}

// topicContents are the records of a topic, as the tests' own client reads them.
type topicContents struct {
	records map[recordID]storedRecord
	bounds  map[int32]bounds
	events  map[recordID]string // the values of valid readings
	keys    map[recordID][32]byte
	alarms  *alarmOracle      // has evaluated all records
	acked   map[recordID]bool // a producer received an acknowledgement of this record alone
}

// bounds are the offsets that a partition retains: [start, end).
type bounds struct{ start, end int64 }

// readTopic reads all records now in the topic and returns the outcome required of each, labelled with log.
func readTopic(t testing.TB, address, topic, log string, retention time.Duration) topicContents {
	t.Helper()
	read := topicContents{records: map[recordID]storedRecord{}, bounds: topicBounds(t, address, topic), events: map[recordID]string{}, keys: map[recordID][32]byte{}, alarms: newAlarmOracle(t), acked: map[recordID]bool{}}
	offsets := map[int32]kgo.Offset{}
	pending := map[int32]bool{}
	for partition, b := range read.bounds {
		if b.end > b.start {
			offsets[partition] = kgo.NewOffset().At(b.start)
			pending[partition] = true
		}
	}
	if len(pending) == 0 {
		return read
	}
	consumer := client(t, address, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	defer consumer.Close()
	sent := map[sending]time.Time{}
	for len(pending) > 0 {
		fetches := consumer.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatalf("read topic %s: %v", topic, err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			if record.Offset >= read.bounds[record.Partition].end-1 {
				delete(pending, record.Partition)
			}
			if record.Offset < read.bounds[record.Partition].end && !record.Attrs.IsControl() && !repeated(record, sent) {
				id := read.add(log, record, retention)
				read.alarms.evaluate(t, id, read.records[id].outcome, record.Timestamp, read.bounds[record.Partition].start > 0)
			}
		})
	}
	return read
}

// sending is what all attempts to send a reading share.
type sending struct {
	partition int32
	id        string // of the header heartbeat-id
}

// repeated reports whether a record carries the reading of one less than an hour before, which is stored.
func repeated(record *kgo.Record, sent map[sending]time.Time) bool {
	for _, header := range record.Headers {
		if header.Key != "heartbeat-id" || len(header.Value) != 16 {
			continue
		}
		one := sending{record.Partition, string(header.Value)}
		if before, known := sent[one]; known && record.Timestamp.Sub(before).Abs() < time.Hour {
			return true
		}
		sent[one] = record.Timestamp
	}
	return false
}

func (c *topicContents) add(log string, record *kgo.Record, retention time.Duration) recordID {
	id := recordID{log, record.Partition, record.Offset}
	what := storedRecord{outcome: expectedOutcome(record.Value, record.Timestamp, retention)}
	switch what.Class {
	case "NORMAL":
	case "":
		what.Length = int64(len(record.Value))
		what.Digest = sha256.Sum256(record.Value)
		c.keys[id] = sha256.Sum256(record.Key)
	default:
		what.Digest = sha256.Sum256(record.Value)
	}
	c.records[id] = what
	if what.Class != "" {
		c.events[id] = string(record.Value)
	}
	return id
}

// count returns how many records have the property, by partition.
func (c *topicContents) count(has func(storedRecord) bool) map[int32]int64 {
	counts := map[int32]int64{}
	for id, what := range c.records {
		if has(what) {
			counts[id.Partition]++
		}
	}
	return counts
}

// topicBounds asks the broker for the retained offsets.
func topicBounds(t testing.TB, address, topic string) map[int32]bounds {
	t.Helper()
	admin := kadm.NewClient(client(t, address))
	defer admin.Close()
	starts, err := admin.ListStartOffsets(t.Context(), topic)
	if err != nil {
		t.Fatalf("list start offsets of %s: %v", topic, err)
	}
	ends, err := admin.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatalf("list end offsets of %s: %v", topic, err)
	}
	found := map[int32]bounds{}
	starts.Each(func(start kadm.ListedOffset) {
		end, _ := ends.Lookup(topic, start.Partition)
		if start.Err != nil || end.Err != nil {
			t.Fatalf("list offsets of %s, partition %d: %v, %v", topic, start.Partition, start.Err, end.Err)
		}
		found[start.Partition] = bounds{start.Offset, end.Offset}
	})
	return found
}
