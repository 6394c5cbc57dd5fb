package app

import (
	"strings"
	"testing"
	"time"

	"heartbeat/internal/pipeline"
)

func TestReadinessFollowsTheStallDetector(t *testing.T) {
	t.Parallel()
	owns := func(next int64) map[int32]pipeline.Status {
		return map[int32]pipeline.Status{0: {State: pipeline.Running, Next: 7}, 1: {State: pipeline.Running, Next: next}}
	}
	type look struct {
		after time.Duration
		owned map[int32]pipeline.Status
		end   int64 // of partition 1
	}
	for _, test := range []struct {
		name  string
		looks []look
		at    time.Duration
		says  string // empty: ready
	}{
		{"nothing was looked at yet", nil, time.Hour, ""},
		{"far behind, and getting on", []look{{0, owns(10), 1e6}, {50 * time.Second, owns(11), 1e6}, {100 * time.Second, owns(12), 1e6}}, 110 * time.Second, ""},
		{"behind and still for less than a minute", []look{{0, owns(10), 20}, {55 * time.Second, owns(10), 20}}, time.Minute, ""},
		{"behind and still for longer", []look{{0, owns(10), 20}, {55 * time.Second, owns(10), 21}}, 61 * time.Second, "partition 1 stands still at offset 10"},
		{"the broker does not answer meanwhile", []look{{0, owns(10), 20}}, 61 * time.Second, "10 records wait"},
		{"nothing arrives", []look{{0, owns(10), 10}, {time.Hour, owns(10), 10}}, 2 * time.Hour, ""},
		{"the first record after an hour", []look{{0, owns(10), 10}, {time.Hour, owns(10), 10}, {time.Hour + 5*time.Second, owns(10), 11}}, time.Hour + 30*time.Second, ""},
		{"it moved again", []look{{0, owns(10), 20}, {2 * time.Minute, owns(11), 20}}, 2*time.Minute + time.Second, ""},
		{"it went to another consumer", []look{{0, owns(10), 20}, {30 * time.Second, nil, 20}}, time.Hour, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			began, d := time.Unix(1_700_000_000, 0), newStallDetector()
			for _, look := range test.looks {
				d.observe(began.Add(look.after), look.owned, map[int32]int64{0: 7, 1: look.end})
			}
			err := d.check(began.Add(test.at))
			if test.says == "" && err != nil {
				t.Errorf("not ready: %v", err)
			}
			if test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("readiness is %v, want an error that says %q", err, test.says)
			}
		})
	}
}
