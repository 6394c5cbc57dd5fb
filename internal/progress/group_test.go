package progress_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/progress"
)

func TestEveryReasonForAStallIsNamed(t *testing.T) {
	t.Parallel()
	ours := func(partitions ...int32) progress.Member {
		return progress.Member{Client: "heartbeat", Host: "/10.0.0.7", Ours: true, Partitions: partitions}
	}
	theirs := func(partitions ...int32) progress.Member {
		return progress.Member{Client: "kcat", Host: "/10.0.0.9", Partitions: partitions}
	}
	group := func(members ...progress.Member) *progress.Group {
		return &progress.Group{Name: "wards", State: "Stable", Protocol: "consumer", Members: members}
	}
	for _, test := range []struct {
		name  string
		group *progress.Group
		parts []string // of the sentence
	}{
		{"nothing is known of the group", nil, nil},
		{"empty group id", &progress.Group{}, []string{"KAFKA_GROUP_ID"}},
		{"the broker forbids to look", &progress.Group{Name: "wards", Err: errors.New("GROUP_AUTHORIZATION_FAILED")}, []string{"wards", "GROUP_AUTHORIZATION_FAILED"}},
		{"no consumer", group(), []string{"no members", "heartbeat consume"}},
		{"another protocol", &progress.Group{Name: "wards", Protocol: "connect", Members: []progress.Member{theirs(0)}}, []string{`"connect"`, "KAFKA_GROUP_ID"}},
		{"only somebody else's client", group(theirs(0, 1)), []string{"kcat at 10.0.0.9", "KAFKA_GROUP_ID"}},
		{"many foreign clients", group(theirs(0), theirs(), theirs(), theirs(), theirs()), []string{"and 2 more"}},
		{"a foreign client among ours", group(ours(1), theirs(0)), []string{"assigned to kcat", "not a Heartbeat consumer"}},
		{"no assignment", group(ours(1)), []string{"assigns it to no member"}},
		{"ours, and it stands still", group(ours(0)), []string{"heartbeat at 10.0.0.7", "/readyz"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tracker, began := progress.Tracker{}, time.Unix(1_700_000_000, 0)
			var report progress.Report
			for _, after := range []time.Duration{0, progress.StalledAfter} {
				report = tracker.Observe(progress.Observation{
					At: began.Add(after), Topic: topic(progress.Bounds{End: 7}), Rows: []progress.Stored{row(0, 2)},
				})
				report.Explain(test.group)
			}
			text := progress.Describe(report.Stalled())
			for _, part := range append(test.parts, "partition 0", "5 records wait", "2023-11-14T22:13:20Z") {
				if !strings.Contains(text, part) {
					t.Errorf("%q lacks %q", text, part)
				}
			}
		})
	}
}

func TestPartitionsOfOneReasonShareAClause(t *testing.T) {
	t.Parallel()
	tracker, began := progress.Tracker{}, time.Unix(1_700_000_000, 0)
	group := &progress.Group{Name: "wards", State: "Stable", Protocol: "consumer", Members: []progress.Member{
		{Client: "heartbeat", Host: "/10.0.0.7", Ours: true, Partitions: []int32{2}},
	}}
	var report progress.Report
	for _, after := range []time.Duration{0, progress.StalledAfter} {
		report = tracker.Observe(progress.Observation{At: began.Add(after), Topic: topic(progress.Bounds{End: 7}, progress.Bounds{End: 8}, progress.Bounds{End: 9})})
		report.Explain(group)
	}
	text := progress.Describe(report.Stalled())
	if !strings.Contains(text, "partitions 0, 1: 15 records wait") || !strings.Contains(text, "; partition 2: 9 records wait") {
		t.Errorf("got %q", text)
	}
}
