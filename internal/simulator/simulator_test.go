package simulator_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/simulate"
	"heartbeat/internal/simulator"
)

const (
	topic   = "heartbeat-events"
	address = "localhost:19092"
)

// fixture is a producer role with a broker on a virtual network, inside a synctest bubble: time passes only when
// everybody waits.
type fixture struct {
	t       *testing.T
	network kfake.VirtualNetwork
	cluster *kfake.Cluster
	log     bytes.Buffer
	ackLog  string
	options simulator.Options
}

// withFixture runs a test with a broker in a bubble of its own.
func withFixture(t *testing.T, test func(*fixture)) {
	t.Parallel()
	inBubble(t, test)
}

func inBubble(t *testing.T, test func(*fixture)) {
	synctest.Test(t, func(t *testing.T) {
		s := newFixture(t)
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(19092), kfake.ListenFn(s.network.Listen))
		if err != nil {
			t.Fatal(err)
		}
		defer cluster.Close()
		s.cluster = cluster
		test(s)
	})
}

func newFixture(t *testing.T) *fixture {
	s := &fixture{t: t, ackLog: filepath.Join(t.TempDir(), "ackLog.jsonl")}
	s.options = simulator.Options{
		Kafka: kafka.Config{Brokers: []string{address}, Topic: topic, Dial: s.network.DialContext},
		// Compression belongs to the tests of kafka. Here it would cost minutes under the race detector, and zstd's readers
		// would be finalized outside the bubble.
		Compression: producer.None,
		Fleet:       simulate.Options{Customers: 10_000, AnomalyRate: 0.05, InvalidRate: 0.005, Seed: 7},
		AckLogPath:  s.ackLog,
		Logger:      slog.New(slog.NewTextHandler(&s.log, nil)),
	}
	s.options.Kafka.Logger = s.options.Logger
	return s
}

// produce runs the role until it ends by itself or the time is up.
func (s *fixture) produce(span time.Duration) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), span)
	defer cancel()
	return simulator.Run(ctx, s.options)
}

// entry is a line of the ack log.
type entry struct {
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Customer  string    `json:"customer_id"`
	HeartRate int       `json:"heart_rate"`
	Timestamp time.Time `json:"timestamp"`
}

func (s *fixture) entries() []entry {
	s.t.Helper()
	file, err := os.Open(s.ackLog)
	if err != nil {
		s.t.Fatal(err)
	}
	defer file.Close()
	var entries []entry
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			s.t.Fatalf("ack log line %q: %v", lines.Text(), err)
		}
		entries = append(entries, e)
	}
	return entries
}

// inTopic reads back what the topic holds, in the form of the ack log.
func (s *fixture) inTopic() []entry {
	s.t.Helper()
	var stored int
	for _, partition := range s.cluster.PartitionInfos(topic) {
		stored += int(partition.HighWatermark)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.Dialer(s.network.DialContext),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	var entries []entry
	for len(entries) < stored {
		fetches := client.PollFetches(s.t.Context())
		if err := fetches.Err(); err != nil {
			s.t.Fatal(err)
		}
		for _, record := range fetches.Records() {
			e := entry{Partition: record.Partition, Offset: record.Offset}
			if err := json.Unmarshal(record.Value, &e); err != nil {
				s.t.Fatalf("record %q: %v", record.Value, err)
			}
			entries = append(entries, e)
		}
	}
	return entries
}

// byOffset sorts entries as the topic holds them.
func byOffset(entries []entry) []entry {
	return slices.SortedFunc(slices.Values(entries), func(a, b entry) int {
		if a.Partition != b.Partition {
			return int(a.Partition - b.Partition)
		}
		return int(a.Offset - b.Offset)
	})
}

// byTime sorts entries as they happened.
func byTime(entries []entry) []entry {
	return slices.SortedStableFunc(slices.Values(entries), func(a, b entry) int { return a.Timestamp.Compare(b.Timestamp) })
}

func TestProduceHoldsTheAskedRate(t *testing.T) {
	withFixture(t, func(s *fixture) {
		s.options.Rate, s.options.Workers = 1000, 3
		if err := s.produce(20 * time.Second); err != nil {
			t.Fatal(err)
		}
		if got := len(s.entries()); got < 19_800 || got > 20_200 {
			t.Errorf("%d events in 20 s at 1000/s, want 20000 within 1 %%", got)
		}
	})
}

func TestProduceSpacesEventsEvenly(t *testing.T) {
	for _, test := range []struct {
		name    string
		workers int
		rate    float64
		every   time.Duration
	}{
		{"one worker at its interval", 1, 0, 500 * time.Millisecond},
		{"four workers at their interval", 4, 0, 125 * time.Millisecond},
		{"two a second by one worker", 1, 2, 500 * time.Millisecond},
		{"two a second by four workers", 4, 2, 500 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			withFixture(t, func(s *fixture) {
				s.options.Workers, s.options.Rate = test.workers, test.rate
				if err := s.produce(20*test.every + test.every/2); err != nil {
					t.Fatal(err)
				}
				events := byTime(s.entries())
				if len(events) != 21 {
					t.Fatalf("%d events in 20 intervals, want 21", len(events))
				}
				for i := range 20 {
					if gap := events[i+1].Timestamp.Sub(events[i].Timestamp); gap != test.every {
						t.Errorf("event %d came %v after the one before, want %v", i+1, gap, test.every)
					}
				}
			})
		})
	}
}

func TestProduceStopsAtTheAskedNumber(t *testing.T) {
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			withFixture(t, func(s *fixture) {
				s.options.Workers, s.options.Rate, s.options.MaxEvents = workers, 100, 1001
				if err := s.produce(time.Hour); err != nil {
					t.Fatal(err)
				}
				if got := len(s.entries()); got != 1001 {
					t.Errorf("%d events acknowledged, want 1001", got)
				}
			})
		})
	}
}

// drawn runs a producer and returns customers and rates; in the order of the stream where one worker makes it.
func drawn(t *testing.T, workers int, seed uint64) (events []string) {
	synctest.Test(t, func(t *testing.T) {
		s := newFixture(t)
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(19092), kfake.ListenFn(s.network.Listen))
		if err != nil {
			t.Fatal(err)
		}
		defer cluster.Close()
		s.options.Workers, s.options.Rate, s.options.MaxEvents, s.options.Fleet.Seed = workers, 10, 300, seed
		if err := s.produce(time.Hour); err != nil {
			t.Fatal(err)
		}
		for _, e := range byTime(s.entries()) {
			events = append(events, fmt.Sprint(e.Customer, " ", e.HeartRate))
		}
	})
	if workers > 1 {
		slices.Sort(events)
	}
	return events
}

func TestProduceSameSeedSameEvents(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 4} {
		first := drawn(t, workers, 42)
		if diff := cmp.Diff(first, drawn(t, workers, 42)); diff != "" {
			t.Errorf("%d workers: the same seed gives other events: %s", workers, diff)
		}
		if cmp.Equal(first, drawn(t, workers, 43)) {
			t.Errorf("%d workers: another seed gives the same events", workers)
		}
	}
}

// Ctrl-C: what is generated is acknowledged, and ack log and topic agree on every event, partition and offset.
func TestProduceLosesNothingWhenStopped(t *testing.T) {
	withFixture(t, func(s *fixture) {
		s.options.Rate, s.options.Workers = 5000, 2
		if err := s.produce(3*time.Second + 333*time.Microsecond); err != nil {
			t.Fatal(err)
		}
		acknowledged := byOffset(s.entries())
		if len(acknowledged) < 14_000 {
			t.Errorf("only %d events in 3 s at 5000/s", len(acknowledged))
		}
		if diff := cmp.Diff(acknowledged, byOffset(s.inTopic())); diff != "" {
			t.Errorf("ack log and topic differ: %s", diff)
		}
		if want := fmt.Sprintf(`msg="producer closed cleanly" component=produce sent=%d topic=%s`, len(acknowledged), topic); !strings.Contains(s.log.String(), want) {
			t.Errorf("log does not say %q:\n%s", want, s.log.String())
		}
	})
}

// A broker that takes nothing must not keep a producer from ending: after 30 s it says what it could not deliver.
func TestProduceEndsThoughNothingIsAcknowledged(t *testing.T) {
	withFixture(t, func(s *fixture) {
		s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
		s.options.Rate = 10
		began := time.Now()
		err := s.produce(4950 * time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), "0 events were acknowledged, 50 given up") {
			t.Errorf("error is %v, want one that counts the 50 events given up", err)
		}
		if took := time.Since(began).Round(time.Second); took != 35*time.Second {
			t.Errorf("ended after %v, want 5 s and 30 s more", took)
		}
		if got := len(s.entries()); got != 0 {
			t.Errorf("ack log lists %d events without an acknowledgement", got)
		}
	})
}

func TestProduceEndsWithAFinalDeliveryError(t *testing.T) {
	withFixture(t, func(s *fixture) {
		s.options.Rate = 10
		time.AfterFunc(10*time.Second, func() {
			s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1})
		})
		began := time.Now()
		err := s.produce(time.Hour)
		if !errors.Is(err, kerr.TopicAuthorizationFailed) || !strings.Contains(err.Error(), topic) {
			t.Errorf("error is %v, want the broker's refusal and the topic", err)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("ended %v after the start, want soon after the refusal at 10 s", took)
		}
		if diff := cmp.Diff(byOffset(s.entries()), byOffset(s.inTopic())); diff != "" {
			t.Errorf("ack log and topic differ: %s", diff)
		}
	})
}

func TestProduceGivesUpOnAnUnreachableBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newFixture(t)
		err := s.produce(time.Hour)
		if err == nil || !strings.Contains(err.Error(), address) {
			t.Errorf("error is %v, want one that names %s", err, address)
		}
		if got := strings.Count(s.log.String(), "broker not reachable"); got != 10 {
			t.Errorf("%d attempts in the log, want 10:\n%s", got, s.log.String())
		}
	})
}

func TestProduceEndsWhenItsAckLogFails(t *testing.T) {
	withFixture(t, func(s *fixture) {
		s.options.AckLogPath = "/dev/full"
		err := s.produce(time.Hour)
		if err == nil || !strings.Contains(err.Error(), "ack log") {
			t.Errorf("error is %v, want one of the ack log", err)
		}
	})
}

func TestProduceLogs(t *testing.T) {
	withFixture(t, func(s *fixture) {
		s.options.Rate = 250
		if err := s.produce(10*time.Second + time.Millisecond); err != nil {
			t.Fatal(err)
		}
		log := s.log.String()
		for _, want := range []string{
			`msg="connected to broker" component=kafka address=` + address,
			`msg="stream started" component=produce topic=heartbeat-events customers=10000 interval=500ms events_per_second=250 workers=1 anomaly_rate=0.05 invalid_rate=0.005 seed=7`,
			`msg="events sent" component=produce sent=300 topic=heartbeat-events per_second=`,
			`msg="producer closed cleanly" component=produce sent=2501 topic=heartbeat-events`,
		} {
			if !strings.Contains(log, want) {
				t.Errorf("log does not say %s:\n%s", want, log)
			}
		}
		if got := strings.Count(log, `msg="events sent"`); got < 6 || got > 10 {
			t.Errorf("%d lines of progress in 10 s, want at most one a second:\n%s", got, log)
		}
	})
}

func TestProduceRefusesBadOptions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*simulator.Options){
		"workers -1":                 func(o *simulator.Options) { o.Workers = -1 },
		"generation interval -1s":    func(o *simulator.Options) { o.Interval = -time.Second },
		"rate -1":                    func(o *simulator.Options) { o.Rate = -1 },
		"maximum of events -1":       func(o *simulator.Options) { o.MaxEvents = -1 },
		"customer pool size 0":       func(o *simulator.Options) { o.Fleet.Customers = 0 },
		"anomaly injection rate 1.5": func(o *simulator.Options) { o.Fleet.AnomalyRate = 1.5 },
		"create ack log":             func(o *simulator.Options) { o.AckLogPath = filepath.Join(o.AckLogPath, "nowhere", "file") },
		"KAFKA_TOPIC":                func(o *simulator.Options) { o.Kafka.Topic = "" },
	} {
		s := newFixture(t)
		change(&s.options)
		if err := simulator.Run(t.Context(), s.options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one that says %q", err, want)
		}
	}
}
