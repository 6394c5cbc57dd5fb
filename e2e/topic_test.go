package e2e_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// place is where a record is. Log is the label that rows carry: the topic's name, unless its offsets have come twice.
type place struct {
	Log       string
	Partition int32
	Offset    int64
}

// fact is what is, or ought to be, stored at one place.
type fact struct {
	verdict
	Length int64    // of a dead letter's value
	Digest [32]byte // of the value: of a dead letter the whole, of an anomaly its text; zero for a normal reading
}

// contents is what a topic holds, as a client of its own reads it.
type contents struct {
	facts  map[place]fact
	bounds map[int32]bounds
	events map[place]string // the values as text, where the topic is read for its events
	keys   map[place][32]byte
}

// bounds are the offsets that a partition retains: [start, end).
type bounds struct{ start, end int64 }

// readTopic reads all that the topic holds now and judges it, as rows of the named log.
func readTopic(t testing.TB, address, topic, log string, retention time.Duration) contents {
	t.Helper()
	read := contents{facts: map[place]fact{}, bounds: topicBounds(t, address, topic), events: map[place]string{}, keys: map[place][32]byte{}}
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
	for len(pending) > 0 {
		fetches := consumer.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatalf("read topic %s: %v", topic, err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			if record.Offset >= read.bounds[record.Partition].end-1 {
				delete(pending, record.Partition)
			}
			if record.Offset < read.bounds[record.Partition].end && !record.Attrs.IsControl() {
				read.add(log, record, retention)
			}
		})
	}
	return read
}

func (c *contents) add(log string, record *kgo.Record, retention time.Duration) {
	at := place{log, record.Partition, record.Offset}
	what := fact{verdict: judge(record.Value, record.Timestamp, retention)}
	switch what.Class {
	case "NORMAL":
	case "":
		what.Length = int64(len(record.Value))
		what.Digest = sha256.Sum256(record.Value)
		c.keys[at] = sha256.Sum256(record.Key)
	default:
		what.Digest = sha256.Sum256(record.Value)
	}
	c.facts[at] = what
	if what.Class != "" {
		c.events[at] = string(record.Value)
	}
}

// count returns how many facts have the property, by partition.
func (c *contents) count(has func(fact) bool) map[int32]int64 {
	counts := map[int32]int64{}
	for at, what := range c.facts {
		if has(what) {
			counts[at.Partition]++
		}
	}
	return counts
}

// topicBounds asks the broker for what it retains.
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
