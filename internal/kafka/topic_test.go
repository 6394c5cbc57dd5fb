package kafka_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/progress"
	"heartbeat/internal/testkit/fakekafka"
	"heartbeat/internal/testkit/logbuffer"
)

func connect(t testing.TB, config kafka.Config) *kafka.Client {
	t.Helper()
	client, err := kafka.Connect(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestEnsureTopicCreatesTheTopicOfTheContract(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	client := connect(t, configFor(cluster))
	for range 2 { // the second time finds it and leaves it alone
		if err := client.EnsureTopic(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(cluster.PartitionInfos(topic)); got != 3 {
		t.Errorf("topic has %d partitions, want 3", got)
	}
	configs, err := newAdmin(t, cluster).DescribeTopicConfigs(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, config := range configs[0].Configs {
		got[config.Key] = config.MaybeValue()
	}
	for key, want := range map[string]string{"retention.ms": "86400000", "cleanup.policy": "delete"} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
}

func TestEnsureTopicTakesAnotherCutWithAWarning(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t, kfake.SeedTopics(7, topic))
	var log logbuffer.Buffer
	config := configFor(cluster)
	config.Logger = log.Logger()
	if err := connect(t, config).EnsureTopic(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "partitions=7") {
		t.Errorf("no warning of 7 partitions:\n%s", log.String())
	}
}

func TestEnsureTopicWithoutPermissionSaysWhatToAskFor(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	err := connect(t, configFor(cluster)).EnsureTopic(t.Context())
	if err == nil || !strings.Contains(err.Error(), topic) || !strings.Contains(err.Error(), "administrator") {
		t.Errorf("error is %v, want one that names the topic and who can help", err)
	}
}

// sendTo sends 90 readings.
func sendTo(t testing.TB, cluster *kfake.Cluster) {
	t.Helper()
	sender, err := producer.New(t.Context(), producer.Config{Config: configFor(cluster)})
	if err != nil {
		t.Fatal(err)
	}
	for customer := range heartbeat.CustomerID(90) {
		if err := sender.Send(heartbeat.Event{Customer: customer, Rate: 75, Time: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if err := sender.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTopicTellsIdentityAndOffsets(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	sendTo(t, cluster)
	if err := cluster.DeleteRecords(topic, 1, 5); err != nil {
		t.Fatal(err)
	}
	state, err := connect(t, configFor(cluster)).Topic(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if state.Name != topic || state.ID != cluster.TopicInfo(topic).TopicID {
		t.Errorf("state is of %s %x, want %s %x", state.Name, state.ID, topic, cluster.TopicInfo(topic).TopicID)
	}
	for number, partition := range state.Partitions {
		info := cluster.PartitionInfo(topic, number)
		if want := (progress.Bounds{Start: info.LogStartOffset, End: info.HighWatermark}); partition != want {
			t.Errorf("partition %d: got %+v, want %+v", number, partition, want)
		}
	}
	if got := state.Records(); got != 85 {
		t.Errorf("topic retains %d records, want 85", got)
	}
}

// TestRecordsThatAreGoneAreNamed reads from before the start of a partition, as a reader does whom retention overtakes.
func TestRecordsThatAreGoneAreNamed(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	sendTo(t, cluster)
	end := cluster.PartitionInfo(topic, 1).HighWatermark
	if err := cluster.DeleteRecords(topic, 1, 5); err != nil {
		t.Fatal(err)
	}
	client := connect(t, configFor(cluster))
	count := func(from int64) (n int, err error) {
		err = client.Records(t.Context(), 1, from, end, func(*heartbeat.Record) { n++ })
		return n, err
	}
	if n, err := count(5); n != int(end-5) || n == 0 || err != nil {
		t.Errorf("from offset 5 there are %d records, error %v; want %d", n, err, end-5)
	}
	if _, err := count(2); err == nil || !strings.Contains(err.Error(), "from offset 2: Kafka has deleted these records") {
		t.Errorf("error %v, want it to say that the records are gone", err)
	}
}

func TestTopicOfAMissingTopicNamesIt(t *testing.T) {
	t.Parallel()
	_, err := connect(t, configFor(fakekafka.Start(t))).Topic(t.Context())
	if err == nil || !strings.Contains(err.Error(), topic) {
		t.Errorf("error is %v, want one that names the topic", err)
	}
}

// What the leader of a partition has written counts, although consumers cannot see it yet.
func TestWrittenTopicEndsWhereTheLeadersLogsEnd(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t, kfake.SeedTopics(3, topic))
	client := connect(t, configFor(cluster))
	publisher, err := producer.NewPublisher(t.Context(), producer.PublisherConfig{Config: configFor(cluster)})
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close()
	for key := range 20 {
		if err := publisher.Publish(t.Context(), producer.Message{Key: []byte{byte(key)}, Value: []byte("x"), Time: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	visible, err := client.Topic(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	written, err := client.WrittenTopic(t.Context())
	if err != nil || visible.Records() != 20 || written.Records() != 20 {
		t.Fatalf("%d records are visible and %d written, %v, want 20 of each", visible.Records(), written.Records(), err)
	}
	cluster.ControlKey(int16(kmsg.OffsetForLeaderEpoch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		response := request.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		for _, asked := range request.(*kmsg.OffsetForLeaderEpochRequest).Topics {
			answer := kmsg.NewOffsetForLeaderEpochResponseTopic()
			answer.Topic = asked.Topic
			for _, p := range asked.Partitions {
				partition := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
				partition.Partition, partition.EndOffset = p.Partition, visible.Partitions[p.Partition].End+5
				answer.Partitions = append(answer.Partitions, partition)
			}
			response.Topics = append(response.Topics, answer)
		}
		return response, nil, true
	})
	if written, err = client.WrittenTopic(t.Context()); err != nil || written.Records() != 35 {
		t.Errorf("%d records are written, %v, want 5 more on each of 3 partitions", written.Records(), err)
	}
}
