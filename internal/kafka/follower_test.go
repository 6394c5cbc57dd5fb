package kafka_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
	"heartbeat/internal/testkit/fakekafka"
)

// follow runs a follower until the test ends and returns it with a function that tells what it has seen.
func follow(t *testing.T, config kafka.Config) (follower *kafka.Follower, seen func() []heartbeat.CustomerID) {
	t.Helper()
	var mu sync.Mutex
	var customers []heartbeat.CustomerID
	observe := func(readings []heartbeat.Reading) {
		mu.Lock()
		defer mu.Unlock()
		for _, reading := range readings {
			customers = append(customers, reading.Customer)
		}
	}
	follower = kafka.NewFollower(config, observe, observe)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- follower.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != context.Canceled {
			t.Errorf("Run ended with %v", err)
		}
	})
	return follower, func() []heartbeat.CustomerID {
		mu.Lock()
		defer mu.Unlock()
		return append([]heartbeat.CustomerID(nil), customers...)
	}
}

func send(t *testing.T, client *kgo.Client, values ...string) {
	t.Helper()
	for _, value := range values {
		record := &kgo.Record{Topic: topic, Partition: 0, Value: []byte(value)}
		if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatalf("produce: %v", err)
		}
	}
}

func event(customer heartbeat.CustomerID) string {
	return fmt.Sprintf(`{"customer_id":"%s","heart_rate":75,"timestamp":"%s"}`, customer, time.Now().UTC().Format(time.RFC3339Nano))
}

func TestFollowerSeesValidReadingsFromNowOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := &kfake.VirtualNetwork{}
		fakekafka.StartVirtual(t, network, kfake.SeedTopics(1, topic))
		client, err := kgo.NewClient(kgo.SeedBrokers(fakekafka.VirtualAddress), kgo.Dialer(network.DialContext), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		send(t, client, event(1))
		follower, seen := follow(t, kafka.Config{Brokers: []string{fakekafka.VirtualAddress}, Topic: topic, Dial: network.DialContext})
		time.Sleep(10 * time.Second)
		if following, _, cause := follower.Status(); !following {
			t.Fatalf("not following after ten seconds: %v", cause)
		}
		send(t, client, event(2), "{not json", event(3))
		time.Sleep(time.Second)
		if got := seen(); len(got) != 2 || got[0] != 2 || got[1] != 3 {
			t.Errorf("the follower saw customers %v, want 2 and 3", got)
		}
	})
}

func TestFollowerSaysThatItCannotFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := &kfake.VirtualNetwork{} // without a listener
		follower, _ := follow(t, kafka.Config{Brokers: []string{fakekafka.VirtualAddress}, Topic: topic, Dial: network.DialContext})
		time.Sleep(30 * time.Second)
		if following, _, cause := follower.Status(); following || cause == nil {
			t.Errorf("following is %v with cause %v, want a cause", following, cause)
		}
	})
}
