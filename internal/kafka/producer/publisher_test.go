package producer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/testkit/fakekafka"
)

func newPublisher(t *testing.T, config producer.PublisherConfig) *producer.Publisher {
	t.Helper()
	publisher, err := producer.NewPublisher(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return publisher
}

func message(n int) producer.Message {
	key := fmt.Sprintf("CUST_%05d", n)
	return producer.Message{Key: []byte(key), Value: []byte(`{"customer_id":"` + key + `"}`), Time: time.Now()}
}

func TestPublishReturnsOnceEveryRecordIsInTheTopic(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	publisher := newPublisher(t, producer.PublisherConfig{Config: configFor(cluster)})
	defer publisher.Close()
	var want []string
	var messages []producer.Message
	for n := range 50 {
		messages = append(messages, message(n))
		want = append(want, string(messages[n].Value))
	}
	if err := publisher.Publish(t.Context(), messages...); err != nil {
		t.Fatal(err)
	}
	var stored int64
	for _, partition := range cluster.PartitionInfos(topic) {
		stored += partition.HighWatermark
	}
	if stored != 50 {
		t.Errorf("the topic holds %d records when Publish returns, want 50", stored)
	}
	var have []string
	for _, record := range readTopic(t, cluster, 50) {
		have = append(have, string(record.Value))
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("the topic holds other values than were published")
	}
}

func TestPublishSaysWhichRecordIsRefused(t *testing.T) {
	t.Parallel()
	cluster := fakekafka.Start(t)
	publisher := newPublisher(t, producer.PublisherConfig{Config: configFor(cluster), Compression: producer.None})
	defer publisher.Close()
	large := message(1)
	large.Value = bytes.Repeat([]byte("x"), 2<<20)
	err := publisher.Publish(t.Context(), message(0), large, message(2))
	failed, ok := errors.AsType[*producer.PublishError](err)
	if !ok || !errors.Is(err, kerr.MessageTooLarge) || !strings.Contains(err.Error(), topic) {
		t.Fatalf("error is %v, want a PublishError of a message that is too large, naming the topic", err)
	}
	if want := []producer.Outcome{producer.Acknowledged, producer.Refused, producer.Acknowledged}; !slices.Equal(failed.Outcomes, want) {
		t.Errorf("outcomes are %v, want %v", failed.Outcomes, want)
	}
}

func TestPublishEndsWithItsContextAndAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var network kfake.VirtualNetwork
		cluster := fakekafka.StartVirtual(t, &network)
		publisher := newPublisher(t, producer.PublisherConfig{
			Config: kafka.Config{Brokers: []string{fakekafka.VirtualAddress}, Topic: topic, Dial: network.DialContext}, Compression: producer.None,
		})
		outage := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		err := publisher.Publish(ctx, message(0))
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("returned after %v, want about 3s", took)
		}
		failed, ok := errors.AsType[*producer.PublishError](err)
		if !ok || !slices.Equal(failed.Outcomes, []producer.Outcome{producer.Unknown}) {
			t.Errorf("error is %v, want a PublishError of an unknown outcome", err)
		}
		outage.Remove()
		if err := publisher.Publish(t.Context(), message(1)); err != nil {
			t.Errorf("after the outage: %v", err)
		}
		publisher.Close()
	})
}
