package kafka_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"heartbeat/internal/kafka"
	"heartbeat/internal/testkit/fakekafka"
	"heartbeat/internal/testkit/logbuffer"
)

func TestConnectGivesUpAfterTenAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var network kfake.VirtualNetwork
		var log logbuffer.Buffer
		began := time.Now()
		_, err := kafka.Connect(t.Context(), kafka.Config{
			Brokers: []string{fakekafka.VirtualAddress}, Topic: topic, Logger: log.Logger(), Dial: network.DialContext,
		})
		if err == nil {
			t.Fatal("connected to a port without a listener")
		}
		for _, want := range []string{fakekafka.VirtualAddress, "10 attempts", "KAFKA_BOOTSTRAP_SERVERS"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q does not say %q", err, want)
			}
		}
		if took := time.Since(began); took != 45*time.Second {
			t.Errorf("gave up after %v, want 9 waits of 5 s", took)
		}
		for _, want := range []string{`attempt="1 of 10"`, `attempt="10 of 10"`, "address=" + fakekafka.VirtualAddress, "cause="} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("log does not contain %q:\n%s", want, log.String())
			}
		}
		if lines := strings.Count(log.String(), "\n"); lines != 10 {
			t.Errorf("%d log lines, want one per attempt:\n%s", lines, log.String())
		}
	})
}

func TestConnectWaitsForTheBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var network kfake.VirtualNetwork
		var log logbuffer.Buffer
		started := make(chan *kfake.Cluster, 1)
		time.AfterFunc(12*time.Second, func() { started <- fakekafka.StartVirtual(t, &network) })
		client, err := kafka.Connect(t.Context(), kafka.Config{
			Brokers: []string{fakekafka.VirtualAddress}, Topic: topic, Logger: log.Logger(), Dial: network.DialContext,
		})
		if err != nil {
			t.Fatal(err)
		}
		client.Close()
		(<-started).Close()
		if !strings.Contains(log.String(), `msg="connected to broker" component=kafka address=`+fakekafka.VirtualAddress) {
			t.Errorf("log does not tell of the connection:\n%s", log.String())
		}
		if failures := strings.Count(log.String(), "broker not reachable"); failures != 3 {
			t.Errorf("%d failed attempts before the broker came after 12 s, want 3:\n%s", failures, log.String())
		}
	})
}

func TestConnectEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var network kfake.VirtualNetwork
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		began := time.Now()
		_, err := kafka.Connect(ctx, kafka.Config{Brokers: []string{fakekafka.VirtualAddress}, Topic: topic, Dial: network.DialContext})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v, want the context's", err)
		}
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("returned after %v, want 7s", took)
		}
	})
}

func TestConnectRefusesBadConfig(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config kafka.Config
		want   string
	}{
		"no broker":        {kafka.Config{Topic: topic}, "at least one"},
		"empty broker":     {kafka.Config{Brokers: []string{"a:9092", ""}, Topic: topic}, `KAFKA_BOOTSTRAP_SERVERS "a:9092,"`},
		"blank broker":     {kafka.Config{Brokers: []string{"a:9092", " "}, Topic: topic}, "address 2 is empty"},
		"no topic":         {kafka.Config{Brokers: []string{"a:9092"}}, `KAFKA_TOPIC ""`},
		"topic with blank": {kafka.Config{Brokers: []string{"a:9092"}, Topic: "heart beat"}, `KAFKA_TOPIC "heart beat"`},
		"bad port":         {kafka.Config{Brokers: []string{"a:port"}, Topic: topic}, "a:port"},
		"no port":          {kafka.Config{Brokers: []string{"localhost"}, Topic: topic}, `"localhost"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := kafka.Connect(t.Context(), test.config)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one that says %q", err, test.want)
			}
		})
	}
}

func TestConnectAcceptsBlanksBetweenAddresses(t *testing.T) {
	t.Parallel()
	config := configFor(fakekafka.Start(t))
	config.Brokers = []string{"127.0.0.1:1", " " + config.Brokers[0] + "\t"}
	client, err := kafka.Connect(t.Context(), config)
	if err != nil {
		t.Fatalf("the second broker was not used: %v", err)
	}
	client.Close()
}
