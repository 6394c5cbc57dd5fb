package progress_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"heartbeat/internal/progress"
)

var (
	first  = [16]byte{1}
	second = [16]byte{2}
)

func topic(bounds ...progress.Bounds) *progress.Topic {
	t := &progress.Topic{Name: "heartbeat-events", ID: first, Partitions: map[int32]progress.Bounds{}}
	for number, b := range bounds {
		t.Partitions[int32(number)] = b
	}
	return t
}

func row(partition int32, next int64) progress.Stored {
	return progress.Stored{TopicID: first, Log: "heartbeat-events", Topic: "heartbeat-events", Partition: partition, Next: next, UpdatedAt: new(time.Unix(0, 0))}
}

func TestCompareFindsTheLagOfTheLogInUse(t *testing.T) {
	t.Parallel()
	replaced, other := row(0, 900), row(0, 5)
	replaced.TopicID = second
	other.Topic, other.Log, other.TopicID = "another-topic", "another-topic", second
	anonymous := row(0, 10)
	anonymous.TopicID = [16]byte{}
	relabelled := row(0, 40)
	relabelled.Log = "heartbeat-events#2"
	for _, test := range []struct {
		name  string
		topic *progress.Topic
		rows  []progress.Stored
		lag   int64
		known bool
		count int
	}{
		{"nothing is known", nil, nil, 0, false, 0},
		{"the broker does not answer", nil, []progress.Stored{row(0, 10)}, 0, false, 1},
		{"caught up", topic(progress.Bounds{End: 10}), []progress.Stored{row(0, 10)}, 0, true, 1},
		{"behind", topic(progress.Bounds{End: 30}), []progress.Stored{row(0, 10)}, 20, true, 1},
		{"retention has passed the consumer", topic(progress.Bounds{Start: 25, End: 30}), []progress.Stored{row(0, 10)}, 5, true, 1},
		{"the broker has lost its end", topic(progress.Bounds{End: 3}), []progress.Stored{row(0, 10)}, 0, true, 1},
		{"never claimed", topic(progress.Bounds{Start: 5, End: 30}), nil, 25, true, 1},
		{"one of two claimed", topic(progress.Bounds{End: 30}, progress.Bounds{End: 4}), []progress.Stored{row(0, 10)}, 24, true, 2},
		{"the topic was recreated and not claimed since", topic(progress.Bounds{End: 7}), []progress.Stored{replaced}, 7, true, 2},
		{"the log was truncated and relabelled", topic(progress.Bounds{End: 50}), []progress.Stored{row(0, 900), relabelled}, 10, true, 2},
		{"claimed under a broker without topic ids", topic(progress.Bounds{End: 50}), []progress.Stored{anonymous}, 40, true, 1},
		{"another topic is stored in the same database", topic(progress.Bounds{End: 50}), []progress.Stored{other, row(0, 50)}, 0, true, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			partitions := progress.Compare(test.topic, test.rows)
			lag, known := progress.Lag(partitions)
			if lag != test.lag || known != test.known || len(partitions) != test.count {
				t.Errorf("lag %d (known %t) of %d partitions, want %d (%t) of %d", lag, known, len(partitions), test.lag, test.known, test.count)
			}
		})
	}
}

func TestStallIsWhatWaitsAndDoesNotMove(t *testing.T) {
	t.Parallel()
	type look struct {
		after time.Duration
		next  int64
		end   int64 // -1: the broker does not answer, -2: the database does not
	}
	for _, test := range []struct {
		name    string
		looks   []look
		stalled time.Duration // since when; negative: not stalled
	}{
		{"one look", []look{{0, 10, 20}}, -1},
		{"behind and getting on", []look{{0, 10, 1e6}, {14 * time.Second, 11, 1e6}, {28 * time.Second, 12, 1e6}, {42 * time.Second, 13, 1e6}}, -1},
		{"still for a moment", []look{{0, 10, 20}, {14 * time.Second, 10, 20}}, -1},
		{"still for long", []look{{0, 10, 20}, {5 * time.Second, 10, 21}, {15 * time.Second, 10, 22}}, 0},
		{"nothing arrives", []look{{0, 10, 10}, {time.Hour, 10, 10}}, -1},
		{"the first record after an hour", []look{{0, 10, 10}, {time.Hour, 10, 10}, {time.Hour + 10*time.Second, 10, 11}}, -1},
		{"a record after an hour that is not stored", []look{{0, 10, 10}, {time.Hour, 10, 10}, {time.Hour + 10*time.Second, 10, 11}, {time.Hour + 20*time.Second, 10, 11}}, time.Hour},
		{"it moved again", []look{{0, 10, 20}, {2 * time.Minute, 10, 20}, {3 * time.Minute, 11, 20}}, -1},
		{"the database was away meanwhile", []look{{0, 10, 20}, {10 * time.Second, 10, -2}, {16 * time.Second, 10, 20}}, -1},
		{"the database was away long ago", []look{{0, 10, 20}, {10 * time.Second, 10, -2}, {16 * time.Second, 10, 20}, {25 * time.Second, 10, 20}}, 10 * time.Second},
		{"the broker was away meanwhile", []look{{0, 10, 20}, {10 * time.Second, 10, -1}, {16 * time.Second, 10, 20}}, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			began, tracker := time.Unix(1_700_000_000, 0), progress.Tracker{}
			var report progress.Report
			for _, look := range test.looks {
				if look.end == -2 {
					tracker.Interrupt(began.Add(look.after))
					continue
				}
				o := progress.Observation{At: began.Add(look.after), Rows: []progress.Stored{row(0, look.next)}}
				if look.end >= 0 {
					o.Topic = topic(progress.Bounds{End: look.end})
				}
				report = tracker.Observe(o)
			}
			since := report.Partitions[0].StalledSince
			switch {
			case test.stalled < 0 && since != nil:
				t.Errorf("stalled since %s, want not stalled", since.Sub(began))
			case test.stalled >= 0 && since == nil:
				t.Error("not stalled")
			case since != nil && since.Sub(began) != test.stalled:
				t.Errorf("stalled since %s, want %s", since.Sub(began), test.stalled)
			}
		})
	}
}

// A tracker must neither call a partition stalled that moved within StalledAfter nor overlook one that did not.
func TestStallMatchesThePlainDefinition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var tracker progress.Tracker
		at, next, end := time.Unix(1_700_000_000, 0), int64(0), int64(0)
		fine := at // the last observation at which the partition was fine
		for i := range rapid.IntRange(1, 60).Draw(t, "observations") {
			at = at.Add(time.Duration(rapid.IntRange(1, 8000).Draw(t, "wait")) * time.Millisecond)
			end += rapid.SampledFrom([]int64{0, 0, 3}).Draw(t, "arrived")
			moved := min(rapid.SampledFrom([]int64{0, 0, 0, 1, 100}).Draw(t, "stored"), end-next)
			next += moved
			if i == 0 || moved > 0 || next == end {
				fine = at
			}
			report := tracker.Observe(progress.Observation{At: at, Topic: topic(progress.Bounds{End: end}), Rows: []progress.Stored{row(0, next)}})
			if got, want := len(report.Stalled()) == 1, at.Sub(fine) >= progress.StalledAfter; got != want {
				t.Fatalf("observation %d: stalled is %t, want %t (last fine %s ago)", i, got, want, at.Sub(fine))
			}
		}
	})
}

func TestRateIsSmoothedOffsetsPerSecond(t *testing.T) {
	t.Parallel()
	var tracker progress.Tracker
	began := time.Unix(1_700_000_000, 0)
	var report progress.Report
	for second := range int64(3) {
		report = tracker.Observe(progress.Observation{At: began.Add(time.Duration(second) * time.Second), Topic: topic(progress.Bounds{End: 1000}, progress.Bounds{End: 1000}),
			Rows: []progress.Stored{row(0, 100*second), row(1, 10*second)}})
		if second == 0 && report.Rate != nil {
			t.Errorf("after one look the rate is %v, want unknown", *report.Rate)
		}
	}
	if report.Rate == nil || *report.Rate != 110 {
		t.Errorf("rate is %v, want 110", report.Rate)
	}
}

func TestPartitionWaitsUntilItIsSeenToBeStored(t *testing.T) {
	t.Parallel()
	var tracker progress.Tracker
	at := time.Unix(1_700_000_000, 0)
	for i, look := range []struct {
		next, end int64 // end negative: the broker does not answer
		want      bool
	}{
		{5, 9, true}, {5, -1, false}, {5, 9, true}, {6, 9, false}, {6, 20, false}, {20, 20, false}, {20, 21, false},
	} {
		at = at.Add(time.Second)
		o := progress.Observation{At: at, Rows: []progress.Stored{row(0, look.next)}}
		if look.end >= 0 {
			o.Topic = topic(progress.Bounds{End: look.end})
		}
		if got := tracker.Observe(o).Partitions[0].Waiting; got != look.want {
			t.Errorf("look %d: waiting is %t, want %t", i, got, look.want)
		}
	}
}
