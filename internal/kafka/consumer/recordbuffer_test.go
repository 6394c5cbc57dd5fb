package consumer

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"heartbeat/internal/heartbeat"
)

// A record buffer returns the records that were added since its last reset. A missing value stays distinct from an empty one.
func TestRecordBufferReturnsWhatWasAdded(t *testing.T) {
	t.Parallel()
	text := rapid.Custom(func(t *rapid.T) []byte {
		if rapid.Bool().Draw(t, "absent") {
			return nil
		}
		return rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "text")
	})
	rapid.Check(t, func(t *rapid.T) {
		var b recordBuffer
		var records []heartbeat.Record
		for range rapid.IntRange(1, 3).Draw(t, "times") {
			b.reset()
			var want []heartbeat.Record
			for range rapid.IntRange(1, 10).Draw(t, "records") {
				fetched := &kgo.Record{
					Offset:      rapid.Int64().Draw(t, "offset"),
					LeaderEpoch: rapid.Int32().Draw(t, "epoch"),
					Timestamp:   time.UnixMilli(rapid.Int64Range(1<<40, 1<<42).Draw(t, "timestamp")),
					Key:         text.Draw(t, "key"),
					Value:       text.Draw(t, "value"),
				}
				var id *heartbeat.RecordID
				if rapid.Bool().Draw(t, "identified") {
					id = &heartbeat.RecordID{rapid.Byte().Draw(t, "id")}
					fetched.Headers = []kgo.RecordHeader{{Key: heartbeat.RecordIDHeader, Value: id[:]}}
				}
				want = append(want, heartbeat.Record{
					Offset: fetched.Offset, LeaderEpoch: fetched.LeaderEpoch, Timestamp: fetched.Timestamp,
					Key: bytes.Clone(fetched.Key), Value: bytes.Clone(fetched.Value), ID: id,
				})
				b.add(fetched)
			}
			records = b.appendTo(records[:0])
			if diff := cmp.Diff(want, slices.Clone(records)); diff != "" {
				t.Fatalf("records (-want +got):\n%s", diff)
			}
		}
	})
}

// A record with Kafka's NO_TIMESTAMP has no time, rather than one in 1969.
func TestRecordBufferKeepsAMissingTimestampMissing(t *testing.T) {
	t.Parallel()
	var b recordBuffer
	b.add(&kgo.Record{Timestamp: time.UnixMilli(-1)})
	b.add(&kgo.Record{Timestamp: time.UnixMilli(1 << 40)})
	records := b.appendTo(nil)
	if !records[0].Timestamp.IsZero() {
		t.Errorf("timestamp -1 is %v, want the zero time", records[0].Timestamp)
	}
	if want := time.UnixMilli(1 << 40); !records[1].Timestamp.Equal(want) {
		t.Errorf("timestamp 2^40 is %v, want %v", records[1].Timestamp, want)
	}
}
