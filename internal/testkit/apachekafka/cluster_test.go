package apachekafka_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/embedded/broker"
	"heartbeat/internal/testkit/apachekafka"
)

const (
	topic = "heartbeat-events"
	group = "heartbeat-consumer-group"
)

func startCluster(t *testing.T, options apachekafka.Options) *apachekafka.Cluster {
	t.Helper()
	apachekafka.Require(t)
	options.Dir = t.TempDir()
	c, err := apachekafka.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func connect(t *testing.T, bootstrap string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	options = append(options, kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.DefaultProduceTopic(topic),
		kgo.MetadataMinAge(100*time.Millisecond))
	client, err := kgo.NewClient(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func produce(t *testing.T, client *kgo.Client, from, to int) {
	t.Helper()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		value := strconv.Itoa(i)
		records = append(records, &kgo.Record{Key: []byte(value), Value: []byte(value)})
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// Kafka's own tools are the strangest clients that a broker meets: they must not tell ours from the real one.
func TestKafkasToolsWork(t *testing.T) {
	t.Parallel()
	apachekafka.Require(t)
	brokers := map[string]func(t *testing.T) string{
		"embedded broker": func(t *testing.T) string {
			b, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := b.Stop(context.Background()); err != nil {
					t.Error(err)
				}
			})
			return b.Address()
		},
		"Apache Kafka": func(t *testing.T) string { return startCluster(t, apachekafka.Options{}).Bootstrap() },
	}
	for name, start := range brokers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			useTools(t, start(t))
		})
	}
}

func useTools(t *testing.T, bootstrap string) {
	run := func(class string, args ...string) string {
		t.Helper()
		output, err := apachekafka.Tool(t.Context(), class, append([]string{"--bootstrap-server", bootstrap}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return output
	}
	run(apachekafka.TopicCommand, "--create", "--topic", topic, "--partitions", "3", "--config", "retention.ms=86400000")
	client := connect(t, bootstrap)
	produce(t, client, 0, 300)
	var committed kadm.Offsets
	committed.AddOffset(topic, 0, 10, -1)
	if err := kadm.NewClient(client).CommitAllOffsets(t.Context(), group, committed); err != nil {
		t.Fatal(err)
	}

	described := run(apachekafka.TopicCommand, "--describe", "--topic", topic)
	for _, want := range []string{"PartitionCount: 3", "retention.ms=86400000", "Partition: 2"} {
		if !strings.Contains(described, want) {
			t.Errorf("topics --describe has no %q: %s", want, described)
		}
	}
	if got := sumOffsets(t, run(apachekafka.GetOffsetShell, "--topic", topic)); got != 300 {
		t.Errorf("get-offsets adds up to %d, want 300", got)
	}
	read := strings.Fields(run(apachekafka.ConsoleConsumer, "--topic", topic, "--from-beginning", "--max-messages", "300", "--timeout-ms", "20000"))
	slices.Sort(read)
	if got := len(slices.Compact(read)); got != 300 {
		t.Errorf("console-consumer reads %d different values, want 300", got)
	}
	if got := run(apachekafka.ConsumerGroupCommand, "--describe", "--group", group); !strings.Contains(got, topic) || !strings.Contains(got, " 10 ") {
		t.Errorf("consumer-groups --describe shows no committed offset 10: %s", got)
	}
}

// sumOffsets adds up lines such as topic:0:123.
func sumOffsets(t *testing.T, output string) (sum int) {
	t.Helper()
	for _, line := range strings.Fields(output) {
		offset, err := strconv.Atoi(line[strings.LastIndex(line, ":")+1:])
		if err != nil {
			t.Fatalf("get-offsets says %q: %v", line, err)
		}
		sum += offset
	}
	return sum
}

func TestThreeNodesDoWithoutOne(t *testing.T) {
	t.Parallel()
	c := startCluster(t, apachekafka.Options{Nodes: 3, Properties: map[string]string{
		"broker.session.timeout.ms": "4000", // how long a dead node stays the leader
	}})
	client := connect(t, c.Bootstrap())
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), -1, -1, nil, topic); err != nil {
		t.Fatal(err)
	}
	produce(t, client, 0, 300)
	if err := c.Node(1).Kill(); err != nil {
		t.Fatal(err)
	}
	produce(t, client, 300, 600)
	if err := c.Node(1).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Node(2).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	produce(t, client, 600, 900)
	if got := total(t, client); got != 900 {
		t.Errorf("the topic has %d records, want 900", got)
	}
}

func total(t *testing.T, client *kgo.Client) (n int64) {
	t.Helper()
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n
}

func TestANodeBehindAProxyCanBePausedAndRestarted(t *testing.T) {
	t.Parallel()
	var proxied string
	c := startCluster(t, apachekafka.Options{Advertise: func(node int, address string) (string, error) {
		proxied = proxy(t, address)
		return proxied, nil
	}})
	if c.Bootstrap() != proxied {
		t.Errorf("Bootstrap() = %s, want the proxy's address %s", c.Bootstrap(), proxied)
	}
	node, client := c.Node(1), connect(t, c.Node(1).Address())
	metadata, err := kadm.NewClient(client).BrokerMetadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if broker := metadata.Brokers[0]; fmt.Sprintf("%s:%d", broker.Host, broker.Port) != proxied {
		t.Errorf("the node tells clients to use %s:%d, want the proxy's address %s", broker.Host, broker.Port, proxied)
	}
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), -1, -1, nil, topic); err != nil {
		t.Fatal(err)
	}
	produce(t, client, 0, 30)

	if err := node.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := client.Ping(ctx); err == nil {
		t.Error("a paused node answers")
	}
	if err := node.Resume(); err != nil {
		t.Fatal(err)
	}
	produce(t, client, 30, 60)

	if err := node.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := total(t, client); got != 60 {
		t.Errorf("after a restart the topic has %d records, want 60", got)
	}
}

// proxy forwards connections to an address, and returns its own.
func proxy(t *testing.T, to string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go forward(client, to)
		}
	}()
	return listener.Addr().String()
}

func forward(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client)
		server.Close()
	}()
	_, _ = io.Copy(client, server)
}

func TestACommandThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	apachekafka.Require(t)
	_, err := apachekafka.Tool(t.Context(), apachekafka.TopicCommand, "--nonsense")
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a tool with a wrong option: %v, want what it printed", err)
	}
}
