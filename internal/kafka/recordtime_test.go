package kafka_test

import (
	"math"
	"testing"
	"time"

	"heartbeat/internal/kafka"
)

func TestRecordTimeIsThatOfAClockThatWasSet(t *testing.T) {
	t.Parallel()
	first := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for milliseconds, want := range map[int64]time.Time{
		math.MinInt64: {}, -2: {}, -1: {}, 0: {}, first.UnixMilli() - 1: {}, first.UnixMilli(): first, first.UnixMilli() + 1: first.Add(time.Millisecond),
	} {
		if got := kafka.RecordTime(milliseconds); !got.Equal(want) {
			t.Errorf("RecordTime(%d) = %s, want %s", milliseconds, got, want)
		}
	}
}
