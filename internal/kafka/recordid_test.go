package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/heartbeat"
)

func TestOnlySixteenBytesAreARecordID(t *testing.T) {
	t.Parallel()
	id := heartbeat.KeyedRecordID("a", "b", 0, nil)
	other := heartbeat.KeyedRecordID("a", "b", 1, nil)
	header := func(name string, value []byte) kgo.RecordHeader { return kgo.RecordHeader{Key: name, Value: value} }
	for name, test := range map[string]struct {
		headers []kgo.RecordHeader
		want    bool
	}{
		"none":       {nil, false},
		"empty":      {[]kgo.RecordHeader{header("heartbeat-id", nil)}, false},
		"short":      {[]kgo.RecordHeader{header("heartbeat-id", id[:15])}, false},
		"long":       {[]kgo.RecordHeader{header("heartbeat-id", append(id[:16:16], 0))}, false},
		"other name": {[]kgo.RecordHeader{header("Heartbeat-Id", id[:])}, false},
		"alone":      {[]kgo.RecordHeader{header("heartbeat-id", id[:])}, true},
		"behind":     {[]kgo.RecordHeader{header("trace", []byte("x")), header("heartbeat-id", id[:])}, true},
		"the first":  {[]kgo.RecordHeader{header("heartbeat-id", id[:]), header("heartbeat-id", other[:])}, true},
	} {
		got := RecordID(&kgo.Record{Headers: test.headers})
		if test.want != (got != nil) || got != nil && *got != id {
			t.Errorf("%s: got %v, want an id: %t", name, got, test.want)
		}
	}
}
