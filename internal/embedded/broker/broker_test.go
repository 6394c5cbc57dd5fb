package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heartbeat/internal/port"
	"heartbeat/internal/testkit/child"
	"heartbeat/internal/testkit/prerequisite"
)

const topic = "heartbeat-events"

func startTestBroker(t *testing.T, options Options) *Broker {
	t.Helper()
	options.Logger = testLogger(t)
	b, err := Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopTestBroker(t, b) })
	return b
}

func stopTestBroker(t *testing.T, b *Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := b.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func connect(t *testing.T, address string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(address), kgo.DefaultProduceTopic(topic))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func createTopic(t *testing.T, client *kgo.Client, configs map[string]*string) {
	t.Helper()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), -1, -1, configs, topic); err != nil {
		t.Fatal(err)
	}
}

// produce sends records with the values from to to-1, of a given age.
func produce(t *testing.T, client *kgo.Client, from, to int, age time.Duration) {
	t.Helper()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		value := strconv.Itoa(i)
		records = append(records, &kgo.Record{Key: []byte(value), Value: []byte(value), Timestamp: time.Now().Add(-age)})
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// offsets returns the sums over all partitions of the first and of the next offsets.
func offsets(t *testing.T, client *kgo.Client) (first, next int64) {
	t.Helper()
	admin := kadm.NewClient(client)
	starts, err := admin.ListStartOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	ends, err := admin.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	starts.Each(func(o kadm.ListedOffset) { first += o.Offset })
	ends.Each(func(o kadm.ListedOffset) { next += o.Offset })
	return first, next
}

// values reads the whole topic.
func values(t *testing.T, address string) []int {
	t.Helper()
	client := connect(t, address, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	first, next := offsets(t, client)
	var read []int
	for len(read) < int(next-first) {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			value, err := strconv.Atoi(string(r.Value))
			if err != nil {
				t.Fatal(err)
			}
			read = append(read, value)
		})
	}
	return read
}

func TestBrokerKeepsItsData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := startTestBroker(t, Options{Dir: dir})
	client := connect(t, b.Address())
	createTopic(t, client, nil)
	produce(t, client, 0, 1000, 0)
	id := topicID(t, client)
	stopTestBroker(t, b)

	again := startTestBroker(t, Options{Dir: dir})
	client = connect(t, again.Address())
	produce(t, client, 1000, 1010, 0)
	if got := topicID(t, client); got != id {
		t.Errorf("the topic's id was %v and is %v", id, got)
	}
	checkValues(t, values(t, again.Address()), 1010)
}

func topicID(t *testing.T, client *kgo.Client) kadm.TopicID {
	t.Helper()
	topics, err := kadm.NewClient(client).ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return topics[topic].ID
}

// checkValues wants each of 0 to n-1 once.
func checkValues(t *testing.T, got []int, n int) {
	t.Helper()
	slices.Sort(got)
	if len(got) != n || len(slices.Compact(got)) != n || (n > 0 && got[n-1] != n-1) {
		t.Errorf("read %d values, want each of 0 to %d once", len(got), n-1)
	}
}

func TestWhatTheBrokerAcknowledgedSurvivesItsProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run, address := child.Start(t, "broker", dir, 0)
	client := connect(t, address, kgo.MaxBufferedRecords(100), kgo.ProducerLinger(0))
	createTopic(t, client, nil)

	// Kill it in the middle of the stream.
	var acknowledged atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := 0; ctx.Err() == nil; i++ {
			value := []byte(strconv.Itoa(i))
			client.Produce(ctx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
				if err == nil {
					acknowledged.Add(1)
				}
			})
		}
	}()
	await(t, "5,000 records are acknowledged", func() bool { return acknowledged.Load() >= 5000 })
	child.Kill(t, run)
	cancel()
	<-sent
	client.Close()

	b := startTestBroker(t, Options{Dir: dir})
	got := int64(len(values(t, b.Address())))
	if least := acknowledged.Load(); got < least {
		t.Errorf("%d records were acknowledged and %d are there", least, got)
	}
	after := connect(t, b.Address())
	produce(t, after, 0, 10, 0)
	if _, next := offsets(t, after); next != got+10 {
		t.Errorf("after %d records and 10 more the offsets add up to %d", got, next)
	}
}

func TestAProducerOutlivesTheBrokersProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := startTestBroker(t, Options{Dir: dir})
	client := connect(t, b.Address(), kgo.StopProducerOnDataLossDetected())
	createTopic(t, client, nil)
	produce(t, client, 0, 100, 0)
	stopTestBroker(t, b) // writes down how far each producer is
	run, _ := child.Start(t, "broker", dir, b.Port)
	produce(t, client, 100, 200, 0)
	child.Kill(t, run) // does not
	startTestBroker(t, Options{Dir: dir, Port: b.Port, PortAsked: true})
	produce(t, client, 200, 300, 0)
	checkValues(t, values(t, b.Address()), 300)
}

func TestBrokerOnATakenPort(t *testing.T) {
	t.Parallel()
	listener, err := port.Listen(0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := listener.Addr().(*net.TCPAddr).Port
	if b, err := Start(t.Context(), Options{Port: taken, PortAsked: true}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("port %d is in use", taken)) {
		if err == nil {
			stopTestBroker(t, b)
		}
		t.Errorf("asked for port %d, which is taken: got %v, want an error that says so", taken, err)
	}
	if b := startTestBroker(t, Options{Port: taken}); b.Port <= taken {
		t.Errorf("default port %d is taken: got %d, want a later one", taken, b.Port)
	}
}

func TestADataDirectoryServesOneBroker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	startTestBroker(t, Options{Dir: dir})
	if _, err := Start(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("second start: %v, want an error that names the process", err)
	}
}

func TestBrokerCreatesNoTopicUnasked(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t, Options{})
	client := connect(t, b.Address(), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(0))
	err := client.ProduceSync(t.Context(), kgo.StringRecord("1")).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("produce to a topic that is not there: %v, want %v", err, kerr.UnknownTopicOrPartition)
	}
	fresh := connect(t, b.Address()) // one that has not learnt that there is no such topic
	createTopic(t, fresh, nil)
	topics, err := kadm.NewClient(fresh).ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(topics[topic].Partitions); got != 3 {
		t.Errorf("a topic without a number of partitions has %d, want 3", got)
	}
}

func TestBrokerDoesNotAnnounceDescribeTopicPartitions(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t, Options{})
	announced, err := kadm.NewClient(connect(t, b.Address())).ApiVersions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	announced.Each(func(broker kadm.BrokerApiVersions) {
		if broker.Err != nil {
			t.Fatal(broker.Err)
		}
		if _, ok := broker.KeyMaxVersion(kmsg.DescribeTopicPartitions.Int16()); ok {
			t.Error("DescribeTopicPartitions is announced: Apache Kafka's tools fail on it")
		}
		if _, ok := broker.KeyMaxVersion(kmsg.Produce.Int16()); !ok {
			t.Error("Produce is not announced")
		}
	})
}

func TestRetentionByAgeLeavesTheOffsets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := startTestBroker(t, Options{Dir: dir})
	client := connect(t, b.Address())
	day := strconv.Itoa(24 * 60 * 60 * 1000)
	createTopic(t, client, map[string]*string{"retention.ms": &day})
	produce(t, client, 0, 300, 30*time.Hour)
	produce(t, client, 300, 600, time.Hour)
	trim(t, b, client, defaultRetainBytes, 0)
	if first, next := offsets(t, client); first != 300 || next != 600 {
		t.Errorf("after trimming the offsets add up to %d to %d, want 300 to 600", first, next)
	}

	trim(t, b, client, defaultRetainBytes, 48*time.Hour)
	stopTestBroker(t, b)
	again := startTestBroker(t, Options{Dir: dir})
	if first, next := offsets(t, connect(t, again.Address())); next != 600 || first < 300 {
		t.Errorf("when all has expired and the broker starts again the offsets add up to %d to %d, want the end at 600", first, next)
	}
}

// A record without a timestamp (-1) is not one of 1969.
func TestRetentionKeepsRecordsWithoutATimestamp(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t, Options{Dir: t.TempDir()})
	client := connect(t, b.Address())
	day := strconv.Itoa(24 * 60 * 60 * 1000)
	createTopic(t, client, map[string]*string{"retention.ms": &day})
	var records []*kgo.Record
	for i := range 300 {
		records = append(records, &kgo.Record{Key: []byte(strconv.Itoa(i)), Timestamp: time.UnixMilli(-1)})
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	trim(t, b, client, defaultRetainBytes, 0)
	produce(t, client, 300, 600, time.Hour)
	trim(t, b, client, defaultRetainBytes, 0)
	if first, next := offsets(t, client); first != 0 || next != 600 {
		t.Errorf("after trimming the offsets add up to %d to %d, want 0 to 600", first, next)
	}
}

func TestRetentionBySize(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t, Options{Dir: t.TempDir()})
	client := connect(t, b.Address(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	forever := "-1"
	createTopic(t, client, map[string]*string{"retention.ms": &forever})
	for i := range 20 {
		produce(t, client, 100*i, 100*(i+1), 0)
	}
	before := size(b)
	trim(t, b, client, 2*before, 0)
	if first, _ := offsets(t, client); first != 0 {
		t.Errorf("a log within its limit was trimmed by %d records", first)
	}
	trim(t, b, client, before/2, 0)
	if got := size(b); got > before*6/10 || got < before*4/10 {
		t.Errorf("a log of %d bytes trimmed to %d has %d", before, before/2, got)
	}
}

// trim trims the log as the broker's own loop does, after some time has passed.
func trim(t *testing.T, b *Broker, client *kgo.Client, bytes int64, later time.Duration) {
	t.Helper()
	r := &retention{
		cluster: b.cluster, admin: kadm.NewClient(client), bytes: bytes,
		now: func() time.Time { return time.Now().Add(later) },
	}
	if err := r.trim(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func size(b *Broker) (bytes int64) {
	for _, partition := range b.cluster.PartitionInfos(topic) {
		bytes += partition.NumBytes
	}
	return bytes
}

func TestOtherClientsReadTheTopic(t *testing.T) {
	t.Parallel()
	kcat := prerequisite.Program(t, "kcat", "kcat")
	b := startTestBroker(t, Options{Dir: filepath.Join(t.TempDir(), "broker")})
	client := connect(t, b.Address())
	createTopic(t, client, nil)
	produce(t, client, 0, 100, 0)
	output, err := exec.CommandContext(t.Context(), kcat, "-b", b.Address(), "-C", "-t", topic, "-e", "-q").Output()
	if err != nil {
		t.Fatal(err)
	}
	var read []int
	for line := range strings.Lines(string(output)) {
		value, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, value)
	}
	checkValues(t, read, 100)
}
