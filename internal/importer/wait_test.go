package importer

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heartbeat/internal/progress"
)

// topic holds a number of records in its only partition.
type topic int64

func (t topic) WrittenTopic(context.Context) (*progress.Topic, error) {
	return &progress.Topic{Name: "heartbeat-events", ID: [16]byte{1}, Partitions: map[int32]progress.Bounds{0: {End: int64(t)}}}, nil
}

// waits waits until the topic's 100 records are stored, of which next says how many are after a time.
func waits(t *testing.T, ctx context.Context, next func(waited time.Duration) int64) (time.Duration, error) {
	t.Helper()
	began := time.Now()
	r := &run{options: &Options{Topic: topic(100)}, listProgress: func(context.Context) ([]progress.Stored, error) {
		return []progress.Stored{{TopicID: [16]byte{1}, Topic: "heartbeat-events", Log: "heartbeat-events", Next: next(time.Since(began))}}, nil
	}}
	err := r.awaitStored(ctx, "all is stored")
	return time.Since(began), err
}

func TestWaitingForConsumers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if waited, err := waits(t, t.Context(), func(time.Duration) int64 { return 100 }); err != nil || waited != 0 {
			t.Errorf("with everything stored it waits %v, %v", waited, err)
		}
		slow := func(waited time.Duration) int64 { return int64(waited / (50 * time.Second)) } // a record each 50 s
		if waited, err := waits(t, t.Context(), slow); err != nil || waited < 5000*time.Second || waited > 5001*time.Second {
			t.Errorf("with a slow consumer it waits %v, %v, want 5000 s", waited, err)
		}
		stuck := func(waited time.Duration) int64 { return min(int64(waited/time.Second), 40) }
		waited, err := waits(t, t.Context(), stuck)
		if err == nil || !strings.Contains(err.Error(), "60 records of topic heartbeat-events are not stored") || waited < 100*time.Second || waited > 101*time.Second {
			t.Errorf("with a consumer that stops after 40 s it waits %v, %v, want an error a minute later", waited, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := waits(t, ctx, func(time.Duration) int64 { return 0 }); err == nil {
			t.Error("an interrupted wait gives no error")
		}
	})
}

func TestRemainingTime(t *testing.T) {
	t.Parallel()
	for want, p := range map[time.Duration]Progress{
		30 * time.Second: {Done: 25, Total: 100, Elapsed: 10 * time.Second},
		0:                {Done: 0, Total: 100, Elapsed: 10 * time.Second},
	} {
		if got := p.Remaining(); got != want {
			t.Errorf("%+v goes on for %v, want %v", p, got, want)
		}
	}
}
