package producer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/testkit/fakekafka"
)

// The partitions are what partitionForKey of Apache Kafka's Java client 3.9.0 returns for these keys.
func TestProducerChoosesPartitionsAsKafkaDoes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		partitions int32
		want       map[string]int32
	}{
		{3, map[string]int32{
			"CUST_00000": 1, "CUST_00001": 2, "CUST_00002": 0, "CUST_00003": 0, "CUST_00042": 1, "CUST_05000": 2,
			"CUST_09999": 1, "CUST_10000": 2, "CUST_99999": 2, "CUST_100000": 2, "CUST_1234567": 1, "CUST_999999999": 0,
		}},
		{12, map[string]int32{
			"CUST_00000": 4, "CUST_00001": 11, "CUST_00002": 0, "CUST_00003": 3, "CUST_00042": 10, "CUST_05000": 2,
			"CUST_09999": 4, "CUST_10000": 2, "CUST_99999": 5, "CUST_100000": 2, "CUST_1234567": 1, "CUST_999999999": 9,
		}},
	} {
		t.Run(fmt.Sprint(test.partitions, " partitions"), func(t *testing.T) {
			t.Parallel()
			cluster := fakekafka.Start(t, kfake.SeedTopics(test.partitions, topic))
			sender := newProducer(t, producer.Config{Config: configFor(cluster)})
			for text := range test.want {
				customer, err := heartbeat.ParseCustomerID(text)
				if err != nil {
					t.Fatal(err)
				}
				if err := sender.Send(heartbeat.Event{Customer: customer, Rate: 75, Time: time.Now()}); err != nil {
					t.Fatal(err)
				}
			}
			if err := sender.Close(); err != nil {
				t.Fatal(err)
			}
			got := map[string]int32{}
			for _, record := range readTopic(t, cluster, len(test.want)) {
				got[string(record.Key)] = record.Partition
			}
			if !maps.Equal(got, test.want) {
				t.Errorf("partitions by key:\n got %v\nwant %v", got, test.want)
			}
		})
	}
}

func TestProducerWireForm(t *testing.T) {
	t.Parallel()
	for _, compression := range []producer.Compression{"", producer.Zstd, producer.LZ4, producer.Snappy, producer.None} {
		t.Run(string(compression), func(t *testing.T) {
			t.Parallel()
			cluster := fakekafka.Start(t)
			var delivered producer.Delivery
			sender := newProducer(t, producer.Config{
				Config: configFor(cluster), Compression: compression,
				OnDelivery: func(d producer.Delivery) {
					delivered = d
					delivered.Value = append([]byte(nil), d.Value...)
				},
			})
			at := time.Date(2026, 2, 20, 11, 0, 0, 123_456_789, time.FixedZone("", 3600))
			if err := sender.Send(heartbeat.Event{Customer: 42, Rate: 75, Time: at}); err != nil {
				t.Fatal(err)
			}
			if err := sender.Close(); err != nil {
				t.Fatal(err)
			}
			record := readTopic(t, cluster, 1)[0]
			const want = `{"customer_id":"CUST_00042","heart_rate":75,"timestamp":"2026-02-20T10:00:00.123456+00:00"}`
			if string(record.Key) != "CUST_00042" || string(record.Value) != want {
				t.Errorf("record is %s: %s, want CUST_00042: %s", record.Key, record.Value, want)
			}
			if !record.Timestamp.Equal(at.Truncate(time.Millisecond)) {
				t.Errorf("record is of %v, want the event's time in milliseconds", record.Timestamp)
			}
			if delivered.Partition != record.Partition || delivered.Offset != record.Offset || string(delivered.Value) != want || delivered.Err != nil {
				t.Errorf("delivery is %+v, want partition %d, offset %d and the record's value", delivered, record.Partition, record.Offset)
			}
		})
	}
}

func TestProducerRefusesAnUnknownCompression(t *testing.T) {
	t.Parallel()
	_, err := producer.New(t.Context(), producer.Config{Compression: "brotli"})
	if err == nil || !strings.Contains(err.Error(), `"brotli"`) {
		t.Errorf("error is %v, want one that names the compression", err)
	}
}

// Several goroutines send more than the buffer holds, and memory is used again: nothing is lost, doubled or mixed up.
func TestProducerDeliversEachEventOnceAndUnchanged(t *testing.T) {
	t.Parallel()
	const senders, each = 4, 17_000
	cluster := fakekafka.Start(t)
	acknowledged := map[string]bool{}
	sender := newProducer(t, producer.Config{
		Config: configFor(cluster),
		OnDelivery: func(d producer.Delivery) {
			if d.Err != nil {
				t.Error(d.Err)
			}
			acknowledged[fmt.Sprintf("%d/%d %s", d.Partition, d.Offset, d.Value)] = true
		},
	})
	began := time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC)
	var wg sync.WaitGroup
	for number := range senders {
		wg.Go(func() {
			for i := range each {
				n := number*each + i
				event := heartbeat.Event{Customer: heartbeat.CustomerID(n % 1000), Rate: 75, Time: began.Add(time.Duration(n) * time.Microsecond)}
				if err := sender.Send(event); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := sender.Close(); err != nil {
		t.Fatal(err)
	}
	if got := sender.Acknowledged(); got != senders*each {
		t.Errorf("%d events acknowledged, want %d", got, senders*each)
	}
	values := map[string]bool{}
	for _, record := range readTopic(t, cluster, senders*each) {
		values[string(record.Value)] = true
		if position := fmt.Sprintf("%d/%d %s", record.Partition, record.Offset, record.Value); !acknowledged[position] {
			t.Fatalf("record %s was not acknowledged so", position)
		}
	}
	if len(values) != senders*each {
		t.Errorf("topic holds %d different events, want %d", len(values), senders*each)
	}
}

func TestProducerRidesOutAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const sent = 100
		var network kfake.VirtualNetwork
		cluster := fakekafka.StartVirtual(t, &network)
		sender := newVirtualProducer(t, &network)
		outage := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: -1})
		for customer := range heartbeat.CustomerID(sent) {
			if err := sender.Send(heartbeat.Event{Customer: customer, Rate: 75, Time: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		time.AfterFunc(time.Minute, outage.Remove)
		if err := sender.Close(); err != nil {
			t.Fatal(err)
		}
		var stored int64
		for _, partition := range cluster.PartitionInfos(topic) {
			stored += partition.HighWatermark
		}
		if got := sender.Acknowledged(); got != sent || stored != sent || outage.Hits() == 0 {
			t.Errorf("%d events acknowledged and %d stored after %d refusals, want %d", got, stored, outage.Hits(), sent)
		}
		cluster.Close()
	})
}

func TestProducerEndsWithAFinalError(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	refused := make(chan error, 1)
	sender := newProducer(t, producer.Config{
		Config:     configFor(cluster),
		OnDelivery: func(d producer.Delivery) { refused <- d.Err },
	})
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	event := heartbeat.Event{Customer: 1, Rate: 75, Time: time.Now()}
	if err := sender.Send(event); err != nil {
		t.Fatal(err)
	}
	if err := <-refused; !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("delivery tells of %v, want the broker's refusal", err)
	}
	if err := sender.Err(); !errors.Is(err, kerr.TopicAuthorizationFailed) || !strings.Contains(err.Error(), topic) {
		t.Errorf("error is %v, want the broker's and the topic", err)
	}
	if err := sender.Send(event); err == nil {
		t.Error("sending goes on after a final error")
	}
	if err := sender.Close(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("Close returns %v, want the final error", err)
	}
	if sender.Failed() != 1 || sender.Acknowledged() != 0 {
		t.Errorf("%d failed, %d acknowledged; want 1 failed", sender.Failed(), sender.Acknowledged())
	}
}

// The broker vanishes while events are on the wire. What it stored is unknown, so only the deadline can end the wait.
func TestProducerGivesUpAfterTheDeliveryTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var network kfake.VirtualNetwork
		cluster := fakekafka.StartVirtual(t, &network)
		sender := newVirtualProducer(t, &network)
		arrived := make(chan struct{})
		cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			close(arrived)
			return nil, errors.New("connection lost"), true
		})
		began := time.Now()
		if err := sender.Send(heartbeat.Event{Customer: 1, Rate: 75, Time: time.Now()}); err != nil {
			t.Fatal(err)
		}
		<-arrived
		cluster.Close()
		err := sender.Close()
		if took := time.Since(began); took < 2*time.Minute || took > 3*time.Minute {
			t.Errorf("gave up after %v, want soon after 2 min: %v", took, err)
		}
		if err == nil || !strings.Contains(err.Error(), "connection refused") || sender.Failed() != 1 {
			t.Errorf("Close returns %v with %d failed, want what kept 1 event from being delivered", err, sender.Failed())
		}
	})
}

func newVirtualProducer(t testing.TB, network *kfake.VirtualNetwork) *producer.Producer {
	t.Helper()
	return newProducer(t, producer.Config{
		Config: kafka.Config{Brokers: []string{fakekafka.VirtualAddress}, Topic: topic, Dial: func(ctx context.Context, net_, address string) (net.Conn, error) {
			conn, err := network.DialContext(ctx, net_, address)
			if err != nil { // as TCP says it; the library tells errors apart by their type
				err = &net.OpError{Op: "dial", Net: net_, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
			}
			return conn, err
		}},
	})
}

func TestProducerAbandonSettlesEverything(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	sender := newProducer(t, producer.Config{Config: configFor(cluster)})
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
	const sent = 1000
	for customer := range heartbeat.CustomerID(sent) {
		if err := sender.Send(heartbeat.Event{Customer: customer, Rate: 75, Time: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	sender.Abandon()
	if err := sender.Close(); err == nil || !strings.Contains(err.Error(), "given up") {
		t.Errorf("Close returns %v, want that events were given up", err)
	}
	if got := sender.Failed(); got != sent {
		t.Errorf("%d events settled as failed, want %d", got, sent)
	}
}

// A broker that refuses for a while makes the buffer fill up. Sending then waits instead of taking memory.
func TestProducerSendBlocksWhileTheBufferIsFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const buffer, extra = 64 << 10, 10
		var network kfake.VirtualNetwork
		cluster := fakekafka.StartVirtual(t, &network)
		sender := newVirtualProducer(t, &network)
		outage := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
		var taken atomic.Int64
		var sending sync.WaitGroup
		sending.Go(func() {
			for n := range buffer + extra {
				if err := sender.Send(heartbeat.Event{Customer: heartbeat.CustomerID(n), Rate: 75, Time: time.Now()}); err != nil {
					t.Error(err)
				}
				taken.Add(1)
			}
		})
		synctest.Wait()
		if got := taken.Load(); got != buffer {
			t.Errorf("%d events taken while nothing leaves a buffer of %d", got, buffer)
		}
		outage.Remove()
		sending.Wait()
		if err := sender.Close(); err != nil {
			t.Fatal(err)
		}
		if got := sender.Acknowledged(); got != buffer+extra {
			t.Errorf("%d events acknowledged, want %d", got, buffer+extra)
		}
		cluster.Close()
	})
}
