package consumer_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka/consumer"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/silence"
)

// forgetful is a store of detection that has nothing of earlier owners. The limits are the defaults.
type forgetful struct{ limits *detect.LimitHistory }

func (f forgetful) Current(context.Context) (*detect.LimitHistory, error) { return f.limits, nil }

func (forgetful) DetectorStates(context.Context, pipeline.Claim, []heartbeat.CustomerID) ([]pipeline.DetectorState, error) {
	return nil, nil
}

func (forgetful) DeadLettered(context.Context, pipeline.Claim, int64, int64) (map[int64]bool, error) {
	return nil, nil
}

func (forgetful) Episodes(context.Context, []heartbeat.CustomerID, bool) ([]pipeline.StoredEpisode, error) {
	return nil, nil
}

func (forgetful) PartitionStates(context.Context, pipeline.Claim, heartbeat.CustomerID, int) ([]pipeline.DetectorState, error) {
	return nil, nil
}

func (forgetful) Overdue(_ context.Context, _ pipeline.Claim, customers []heartbeat.CustomerID) (overdue []pipeline.OverdueCustomer, err error) {
	for _, customer := range customers {
		overdue = append(overdue, pipeline.OverdueCustomer{Customer: customer})
	}
	return overdue, nil
}

func (forgetful) Report(_ context.Context, _ pipeline.Claim, report silence.Report) (silence.Fleet, error) {
	return silence.Fleet{Report: report}, nil
}

// report produces a reading of each customer each five seconds, to the partition of its number.
func (b *bubble) report(length time.Duration, customers ...heartbeat.CustomerID) {
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(5 * time.Second) {
		for _, customer := range customers {
			event := heartbeat.Event{Customer: customer, Rate: heartbeat.BPM(70 + time.Now().Unix()/5%5), Time: time.Now()}
			record := &kgo.Record{Topic: topic, Partition: int32(customer) % 3, Value: event.AppendJSON(nil), Timestamp: event.Time}
			b.client.Produce(b.t.Context(), record, nil) // waits while the partition is away
		}
	}
}

func (b *bubble) wantSilent(what string, want ...string) {
	b.t.Helper()
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	if !slices.Equal(b.store.silent, want) {
		b.t.Fatalf("%s: %q, want %q", what, b.store.silent, want)
	}
}

// The only customer of a partition is found silent without any further record, and none while the partition's broker is away.
func TestSilenceFollowsTheBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		defer b.close()
		b.client.Close()
		b.client = b.newClient(kgo.RecordPartitioner(kgo.ManualPartitioner()))
		limits, err := detect.NewLimitHistory(detect.DefaultLimits(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.detection = &pipeline.Detection{Settings: detect.DefaultSettings(), Limits: forgetful{limits}, Store: forgetful{limits}, Watch: true}
		stop := b.consumeAs(consumer.Config{Watch: true}, slog.New(slog.DiscardHandler))
		defer stop()
		b.report(3*time.Minute, 1, 2)
		b.wantSilent("all are heard")

		away := b.cluster.Fault(kfake.Fault{
			Topic: topic, Partitions: []int32{1}, Keys: []kmsg.Key{kmsg.ListOffsets, kmsg.Produce}, Err: kerr.LeaderNotAvailable, Count: -1,
		})
		b.report(10*time.Minute, 1, 2)
		b.wantSilent("the broker of partition 1 is away")
		away.Remove()
		b.report(2*time.Minute, 1, 2)
		b.wantSilent("it is back")

		b.report(64*time.Second, 2)
		time.Sleep(3 * time.Second) // customer 1 was last heard 5 s before
		b.wantSilent("customer 1 has stopped", "CUST_00001 silent raised")
		b.report(5*time.Second, 1, 2)
		time.Sleep(time.Second)
		b.wantSilent("customer 1 is back", "CUST_00001 silent raised", "CUST_00001 silent cleared")
	})
}
