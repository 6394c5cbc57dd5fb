package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/repeat"
)

func TestFollowerUsesTheKafkaTimeWhereAClockIsAhead(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC)
	var records []*kgo.Record
	for _, ahead := range []time.Duration{-time.Minute, 9 * time.Minute, -heartbeat.MaxDelay, -heartbeat.MaxDelay - time.Microsecond} {
		event := heartbeat.Event{Customer: 1, Rate: 75, Time: at.Add(ahead)}
		records = append(records, &kgo.Record{Timestamp: at, Value: event.AppendJSON(nil)})
	}
	fetches := kgo.Fetches{{Topics: []kgo.FetchTopic{{Partitions: []kgo.FetchPartition{{Records: records}}}}}}
	readings, late := new(liveDecoder).decode(fetches, nil, nil)
	if len(late) != 1 || !late[0].Time.Before(at.Add(-heartbeat.MaxDelay)) {
		t.Errorf("late readings: %+v, want the one beyond the delay", late)
	}
	if len(readings) != 3 || !readings[0].Time.Equal(at.Add(-time.Minute)) || !readings[1].Time.Equal(at) {
		t.Errorf("times of the readings: %+v, want a minute before %v and that time itself", readings, at)
	}
}

func TestFollowerShowsARepeatedReadingOnce(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC)
	ids := []heartbeat.RecordID{heartbeat.KeyedRecordID("a", "b", 0, nil), heartbeat.KeyedRecordID("a", "b", 1, nil)}
	var fetches kgo.Fetches
	for partition := range int32(2) { // an id means nothing in another partition
		var records []*kgo.Record
		for i := range 4 {
			event := heartbeat.Event{Customer: heartbeat.CustomerID(1 + i%2), Rate: 75, Time: at}
			records = append(records, &kgo.Record{
				Partition: partition, Timestamp: at, Value: event.AppendJSON(nil),
				Headers: []kgo.RecordHeader{{Key: heartbeat.RecordIDHeader, Value: ids[i%2][:]}},
			})
		}
		fetches = append(fetches, kgo.Fetch{Topics: []kgo.FetchTopic{{Partitions: []kgo.FetchPartition{{Records: records}}}}})
	}
	decoder := liveDecoder{windows: map[int32]*repeat.Window{}}
	if readings, _ := decoder.decode(fetches, nil, nil); len(readings) != 4 {
		t.Errorf("%d readings are shown, want each of the 2 in each of the 2 partitions once", len(readings))
	}
}
