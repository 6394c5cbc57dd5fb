package lagmonitor

import (
	"strings"
	"testing"
	"time"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/progress"
)

func TestConsumerIsReadyWhileItsPartitionsAreStored(t *testing.T) {
	t.Parallel()
	own := func(numbers ...int32) map[int32]pipeline.Status {
		owned := map[int32]pipeline.Status{}
		for _, number := range numbers {
			owned[number] = pipeline.Status{State: pipeline.Running}
		}
		return owned
	}
	ours := func(numbers ...int32) progress.Member {
		return progress.Member{Client: "heartbeat", Host: "/10.0.0.7", Ours: true, Partitions: numbers}
	}
	theirs := func(numbers ...int32) progress.Member {
		return progress.Member{Client: "kcat", Host: "/10.0.0.9", Partitions: numbers}
	}
	group := func(members ...progress.Member) *progress.Group {
		return &progress.Group{Name: "wards", State: "Stable", Protocol: "consumer", Members: members}
	}
	forbidden := &progress.Group{Name: "wards", Err: errNotMeasured}
	const still, moving, behindAtFirst = 0, 1, 2
	for _, test := range []struct {
		name       string
		partitions []int // what each does
		owned      map[int32]pipeline.Status
		group      *progress.Group
		says       string // empty: ready
	}{
		{"all are stored", []int{moving, moving}, own(0, 1), nil, ""},
		{"stand-by, others store", []int{moving, moving}, own(), nil, ""},
		{"one of ours stands still", []int{moving, still}, own(0, 1), group(ours(0, 1)), "partition 1"},
		{"another consumer's stands still", []int{moving, still}, own(0), group(ours(0), ours(1)), ""},
		{"one is somebody else's client's", []int{moving, still}, own(0), group(ours(0), theirs(1)), "kcat at 10.0.0.9"},
		{"one is unassigned", []int{moving, still}, own(0), group(ours(0)), "assigns it to no member"},
		{"one stands still and the group is secret", []int{moving, still}, own(0), forbidden, ""},
		{"none is ours and the group is secret", []int{still, still}, own(), forbidden, "cannot be examined"},
		{"none is ours and none is stored", []int{still, still}, own(), group(ours(), theirs(0, 1)), "kcat at 10.0.0.9"},
		{"none is ours though the group says so", []int{still, still}, own(), group(ours(0, 1)), "its log"},
		{"none was seen to be stored yet", []int{behindAtFirst}, own(0), nil, "not seen one stored yet"},
		{"another's was not seen to be stored yet", []int{moving, behindAtFirst}, own(0), nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var tracker progress.Tracker
			var report progress.Report
			topic := &progress.Topic{Name: "heartbeat-events", Partitions: map[int32]progress.Bounds{}}
			began := time.Unix(1_700_000_000, 0)
			for look := range 5 {
				var rows []progress.Stored
				for number, does := range test.partitions {
					topic.Partitions[int32(number)] = progress.Bounds{End: 100}
					row := progress.Stored{Topic: "heartbeat-events", Log: "heartbeat-events", Partition: int32(number), Next: 10, UpdatedAt: new(began)}
					if does == moving {
						row.Next += int64(look)
					}
					rows = append(rows, row)
				}
				if does := test.partitions[len(test.partitions)-1]; does == behindAtFirst && look > 1 {
					break
				}
				report = tracker.Observe(progress.Observation{At: began.Add(time.Duration(look) * measureEvery), Topic: topic, Rows: rows})
			}
			report.Explain(test.group)
			err := notStored(report, test.owned, test.group)
			if test.says == "" && err != nil {
				t.Errorf("not ready: %v", err)
			}
			if test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("readiness is %v, want an error that says %q", err, test.says)
			}
		})
	}
}
