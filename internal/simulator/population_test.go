package simulator_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heartbeat/internal/simulate"
	"heartbeat/internal/simulator"
)

const truthTopic = "heartbeat-truth"

// usePeople makes a fixture's customers people who report every 5 s and have many episodes.
func (s *fixture) usePeople(customers int) {
	s.options.Fleet.Customers = customers
	s.options.Rate = float64(customers) / 5
	s.options.Physiology = &simulator.PhysiologyOptions{Episodes: simulate.Rates{simulate.Tachycardia: 20, simulate.LateUpload: 10}}
}

func TestPeopleReportAtASteadyIntervalInOrder(t *testing.T) {
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			withFixture(t, func(s *fixture) {
				s.usePeople(100)
				s.options.Physiology.Episodes = simulate.Rates{}
				s.options.Workers = workers
				if err := s.produce(time.Minute); err != nil {
					t.Fatal(err)
				}
				perCustomer := map[string][]entry{}
				for _, e := range byOffset(s.entries()) {
					perCustomer[e.Customer] = append(perCustomer[e.Customer], e)
				}
				if len(perCustomer) != 100 {
					t.Errorf("%d customers are heard within a minute, want 100", len(perCustomer))
				}
				for customer, entries := range perCustomer {
					for i, e := range entries[1:] {
						if gap := e.Timestamp.Sub(entries[i].Timestamp); gap < 4*time.Second || gap > 6*time.Second {
							t.Errorf("%v between two readings of %s in the topic, want 5 s ± 20 %%", gap, customer)
						}
					}
				}
			})
		})
	}
}

// TestPeopleOfOneSeedAreTheSameWithAnyNumberOfWorkers compares readings and truth.
func TestPeopleOfOneSeedAreTheSameWithAnyNumberOfWorkers(t *testing.T) {
	run := func(workers int) (readings []string, truth []byte) {
		inBubble(t, func(s *fixture) {
			s.usePeople(200)
			s.options.Workers, s.options.MaxEvents = workers, 6_000
			s.options.Physiology.TruthPath = filepath.Join(s.t.TempDir(), "truth.jsonl")
			if err := s.produce(time.Hour); err != nil {
				t.Fatal(err)
			}
			for _, e := range s.entries() {
				readings = append(readings, fmt.Sprint(e.Timestamp.UnixMicro(), e.Customer, e.HeartRate))
			}
			slices.Sort(readings)
			truth = s.read(s.options.Physiology.TruthPath)
		})
		return readings, truth
	}
	wantReadings, wantTruth := run(1)
	readings, truth := run(4)
	if len(wantReadings) != 6_000 || !slices.Equal(readings, wantReadings) {
		t.Errorf("4 workers send other readings than 1: %d and %d", len(readings), len(wantReadings))
	}
	if len(wantTruth) == 0 || !bytes.Equal(truth, wantTruth) {
		t.Errorf("4 workers have another truth than 1:\n%s\nwant\n%s", truth, wantTruth)
	}
}

func (s *fixture) read(path string) []byte {
	s.t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return content
}

// records reads back a topic.
func (s *fixture) records(topic string) []*kgo.Record {
	s.t.Helper()
	stored := 0
	for _, partition := range s.cluster.PartitionInfos(topic) {
		stored += int(partition.HighWatermark)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.Dialer(s.network.DialContext),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	var records []*kgo.Record
	for len(records) < stored {
		fetches := client.PollFetches(s.t.Context())
		if err := fetches.Err(); err != nil {
			s.t.Fatal(err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func TestTruthGoesToFileAndTopic(t *testing.T) {
	withFixture(t, func(s *fixture) {
		s.usePeople(40)
		s.options.Physiology.TruthPath = filepath.Join(t.TempDir(), "truth.jsonl")
		s.options.Physiology.TruthTopic = truthTopic
		if err := s.produce(20 * time.Minute); err != nil {
			t.Fatal(err)
		}
		var inFile, inTopic []string
		for lines := bufio.NewScanner(bytes.NewReader(s.read(s.options.Physiology.TruthPath))); lines.Scan(); {
			var episode simulate.Episode
			if err := json.Unmarshal(lines.Bytes(), &episode); err != nil {
				t.Fatalf("truth %q: %v", lines.Text(), err)
			}
			inFile = append(inFile, lines.Text())
		}
		for _, record := range s.records(truthTopic) {
			if !strings.Contains(string(record.Value), fmt.Sprintf("%q:%q", "customer_id", record.Key)) {
				t.Errorf("key of %s is %s", record.Value, record.Key)
			}
			inTopic = append(inTopic, string(record.Value))
		}
		slices.Sort(inFile)
		slices.Sort(inTopic)
		if len(inFile) < 5 || !slices.Equal(inFile, inTopic) {
			t.Errorf("%d episodes in the file, %d in the topic; want the same, and some", len(inFile), len(inTopic))
		}
	})
}

// TestLateUploadsKeepTheTimeOfTheReading compares events with the times at which the broker was given them.
func TestLateUploadsKeepTheTimeOfTheReading(t *testing.T) {
	withFixture(t, func(s *fixture) {
		s.usePeople(20)
		if err := s.produce(time.Hour); err != nil {
			t.Fatal(err)
		}
		late := 0
		for _, record := range s.records(topic) {
			var e entry
			if err := json.Unmarshal(record.Value, &e); err != nil {
				t.Fatal(err)
			}
			switch age := record.Timestamp.Sub(e.Timestamp); {
			case age > 2*time.Minute:
				late++
			case age < -time.Second:
				t.Fatalf("event of %v has the Kafka timestamp %v", e.Timestamp, record.Timestamp)
			}
		}
		if late < 100 {
			t.Errorf("%d readings are sent late, want those of several late uploads", late)
		}
	})
}

func TestProduceEndsWhenItsTruthFails(t *testing.T) {
	t.Run("topic", func(t *testing.T) {
		withFixture(t, func(s *fixture) {
			s.usePeople(100)
			s.options.Physiology.TruthTopic = truthTopic
			s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: truthTopic, Err: kerr.TopicAuthorizationFailed, Count: -1})
			err := s.produce(time.Hour)
			if err == nil || !strings.Contains(err.Error(), "write truth: ") || !strings.Contains(err.Error(), truthTopic) {
				t.Errorf("error %v, want one about the truth and its topic", err)
			}
		})
	})
	t.Run("file", func(t *testing.T) {
		withFixture(t, func(s *fixture) {
			s.usePeople(100)
			s.options.Physiology.TruthPath = filepath.Join(t.TempDir(), "missing", "truth.jsonl")
			if err := s.produce(time.Hour); err == nil || !strings.Contains(err.Error(), "create truth file: ") {
				t.Errorf("error %v, want one about the truth file", err)
			}
		})
	})
}

func TestPeopleCannotReportTooOften(t *testing.T) {
	withFixture(t, func(s *fixture) {
		s.usePeople(100)
		s.options.Rate = 1e9
		if err := s.produce(time.Hour); err == nil || !strings.Contains(err.Error(), "interval of a customer 100ns: want 1ms to ") {
			t.Errorf("error %v, want one about the interval of a customer", err)
		}
	})
}
