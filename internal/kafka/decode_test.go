package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/heartbeat"
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
	readings, late := decode(new(heartbeat.Decoder), fetches, nil, nil)
	if len(late) != 1 || !late[0].Time.Before(at.Add(-heartbeat.MaxDelay)) {
		t.Errorf("late readings: %+v, want the one beyond the delay", late)
	}
	if len(readings) != 3 || !readings[0].Time.Equal(at.Add(-time.Minute)) || !readings[1].Time.Equal(at) {
		t.Errorf("times of the readings: %+v, want a minute before %v and that time itself", readings, at)
	}
}
