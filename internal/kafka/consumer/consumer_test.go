package consumer_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/consumer"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/testkit/fakekafka"
	"heartbeat/internal/testkit/logbuffer"
)

// Rebalances, lost memberships and logs that change under the consumer, on a virtual network in synthetic time.

var started = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of every synctest bubble

// bubble is one broker and its clients inside a synctest bubble.
type bubble struct {
	t       *testing.T
	network *kfake.VirtualNetwork
	cluster *kfake.Cluster
	client  *kgo.Client // produces
	store   *memoryStore
	sent    int

	detection *pipeline.Detection
}

func newBubble(t *testing.T, options ...kfake.Opt) *bubble {
	b := &bubble{t: t, network: &kfake.VirtualNetwork{}, store: newMemoryStore()}
	options = append([]kfake.Opt{kfake.NumBrokers(1), kfake.Ports(19092), kfake.ListenFn(b.network.Listen), kfake.SeedTopics(3, topic)}, options...)
	var err error
	if b.cluster, err = kfake.NewCluster(options...); err != nil {
		t.Fatal(err)
	}
	b.client = b.newClient()
	return b
}

func (b *bubble) newClient(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(b.cluster.ListenAddrs()...), kgo.Dialer(b.network.DialContext),
		kgo.DefaultProduceTopic(topic), kgo.MetadataMinAge(100*time.Millisecond))...)
	if err != nil {
		b.t.Fatal(err)
	}
	return client
}

func (b *bubble) close() {
	b.client.Close()
	b.cluster.Close()
}

// produce sends count readings, each a second later than the one before.
func (b *bubble) produce(count int) {
	records := make([]*kgo.Record, count)
	for i := range records {
		event := heartbeat.Event{Customer: heartbeat.CustomerID(b.sent % 50), Rate: 75, Time: started.Add(time.Duration(b.sent) * time.Second)}
		records[i] = &kgo.Record{Key: event.Customer.AppendTo(nil), Value: event.AppendJSON(nil), Timestamp: event.Time}
		b.sent++
	}
	if err := b.client.ProduceSync(b.t.Context(), records...).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// consume starts a member of the group and returns what stops it.
func (b *bubble) consume(instance string) (stop func()) {
	return b.consumeAs(consumer.Config{InstanceID: instance}, slog.New(slog.DiscardHandler))
}

func (b *bubble) consumeAs(config consumer.Config, logger *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	meter := pipeline.NewMeter(logger, prometheus.NewRegistry())
	client, err := kafka.Connect(ctx, kafka.Config{
		Brokers: b.cluster.ListenAddrs(), Topic: topic, Dial: b.network.DialContext, Logger: logger,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	config.Group, config.Released = "heartbeat-consumer-group", meter.Released
	config.NewWorker = func(p pipeline.Partition) *pipeline.Worker {
		return pipeline.NewWorker(pipeline.Options{Partition: p, Store: b.store, Meter: meter, Logger: logger, Detection: b.detection})
	}
	member, err := consumer.New(client, config)
	if err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- member.Run(ctx) }()
	return func() {
		cancel()
		defer client.Close()
		if err := <-ended; err != nil {
			b.t.Errorf("consumer ended with %v", err)
		}
	}
}

// await waits until every reading sent is stored.
func (b *bubble) await(want int) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Minute); b.store.count() < want; {
		if time.Now().After(deadline) {
			b.t.Fatalf("%d of %d readings stored after ten minutes", b.store.count(), want)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := b.store.count(); got != want || len(b.store.twice) > 0 {
		b.t.Fatalf("%d readings stored, want %d; twice: %v", got, want, b.store.twice)
	}
}

func (b *bubble) ordered() {
	b.t.Helper()
	for key, log := range b.store.logs {
		last := map[heartbeat.CustomerID]time.Time{}
		for _, reading := range log.order {
			if reading.Time.Before(last[reading.Customer]) {
				b.t.Fatalf("partition %d: %s at %s after %s", key.partition, reading.Customer, reading.Time, last[reading.Customer])
			}
			last[reading.Customer] = reading.Time
		}
	}
}

func TestMembersComeAndGoWithoutLossOrDuplicate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		defer b.close()
		stops := []func(){b.consume("")}
		for range 4 {
			b.produce(300)
			stops = append(stops, b.consume(""), b.consume(""))
			time.Sleep(3 * time.Second)
			b.produce(300)
			stops[0]()
			stops = stops[1:]
			time.Sleep(2 * time.Second)
		}
		b.produce(100)
		b.await(b.sent)
		b.ordered()
		for _, stop := range stops {
			stop()
		}
	})
}

func TestStaticMemberKeepsItsPartitionsOverARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		defer b.close()
		stop := b.consume("ward-1")
		b.produce(100)
		b.await(100)
		stop()
		b.produce(100)
		stop = b.consume("ward-1")
		b.await(200)
		stop()
	})
}

// members returns how many members the group has.
func (b *bubble) members() int {
	b.t.Helper()
	groups, err := kadm.NewClient(b.client).DescribeGroups(b.t.Context(), "heartbeat-consumer-group")
	if err != nil {
		b.t.Fatal(err)
	}
	return len(groups["heartbeat-consumer-group"].Members)
}

func TestStaticMemberThatStopsHandsOverAtOnceOrKeepsItsPartitions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		defer b.close()
		first, second := b.consume("ward-1"), b.consume("ward-2")
		b.produce(100)
		b.await(100)
		time.Sleep(5 * time.Second)
		first()
		if members := b.members(); members != 1 {
			t.Errorf("the group has %d members after one of two has stopped, want 1", members)
		}
		b.produce(100)
		stopped := time.Now()
		b.await(200)
		if took := time.Since(stopped); took > 3*time.Second {
			t.Errorf("the partitions of a static member that has stopped were stored after %v, want at most 3s", took)
		}
		second()
		if members := b.members(); members != 1 {
			t.Errorf("the group has %d members after the last has stopped, want that one, whose restart keeps its partitions", members)
		}
		time.Sleep(10 * time.Second)
		if members := b.members(); members != 0 {
			t.Errorf("the group has %d members after the session timeout, want none", members)
		}
	})
}

func TestChosenInstanceIDOfAnotherConsumerIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		defer b.close()
		var log logbuffer.Buffer
		same := consumer.Config{InstanceID: "copied", InstanceIDChosen: true}
		first, second := b.consumeAs(same, log.Logger()), b.consumeAs(same, log.Logger())
		for range 20 {
			b.produce(50)
			time.Sleep(time.Second)
		}
		b.await(b.sent)
		b.ordered()
		if count := strings.Count(log.String(), "another consumer has this instance id"); count != 1 {
			t.Errorf("an instance id was given up %d times, want once:\n%s", count, log.String())
		}
		if members := b.members(); members != 2 {
			t.Errorf("the group has %d members, want both", members)
		}
		first()
		second()
	})
}

func TestConsumerWithoutGroupIsRefused(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	client, err := kafka.Connect(t.Context(), configFor(cluster))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := consumer.New(client, consumer.Config{}); err == nil || !strings.Contains(err.Error(), "KAFKA_GROUP_ID") {
		t.Errorf("error is %v, want one that names KAFKA_GROUP_ID", err)
	}
}

func TestExpelledMemberComesBackWithoutDuplicates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		defer b.close()
		stop := b.consume("")
		defer stop()
		b.produce(100)
		b.await(100)
		group := "heartbeat-consumer-group"
		b.cluster.Fault(kfake.Fault{Group: group, Keys: heartbeatKeys, TopLevel: true, Err: errUnknownMember})
		b.produce(200)
		b.await(300)
		b.ordered()
	})
}

func TestSecondGroupOnTheSameDatabaseStoresNothingTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		defer b.close()
		stop := b.consume("")
		defer stop()
		b.produce(100)
		b.await(100)
		zombieFence(b.store) // another owner claims every partition outside the group
		b.produce(100)
		b.await(200)
		if b.store.refused == 0 {
			t.Error("no write was refused: the fence was never met")
		}
	})
}

func TestTopicReplacedWhileConsuming(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		defer b.close()
		stop := b.consume("")
		defer stop()
		b.produce(150)
		b.await(150)
		if err := b.cluster.DeleteTopic(topic); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if err := b.cluster.CreateTopic(topic, 3, nil); err != nil {
			t.Fatal(err)
		}
		b.client.Close()
		b.client = b.newClient()
		b.produce(90)
		b.await(240)
	})
}

func TestRetentionPassesAStoppedConsumer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		defer b.close()
		stop := b.consume("")
		b.produce(150)
		b.await(150)
		stop()
		b.produce(150)
		lost := 0
		for partition := range int32(3) {
			info := b.cluster.PartitionInfo(topic, partition)
			if err := b.cluster.DeleteRecords(topic, partition, info.HighWatermark-5); err != nil {
				t.Fatal(err)
			}
			lost -= 5
		}
		lost += 150
		stop = b.consume("")
		defer stop()
		b.await(300 - lost)
		recorded := 0
		for _, incident := range b.store.incidents {
			if incident.Kind != pipeline.RetentionPassed {
				t.Errorf("incident of kind %s", incident.Kind)
			}
			recorded += int(incident.To - incident.From)
		}
		if recorded != lost {
			t.Errorf("incidents account for %d lost offsets, want %d", recorded, lost)
		}
	})
}
