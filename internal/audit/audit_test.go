package audit

import (
	"context"
	"strings"
	"testing"

	"heartbeat/internal/progress"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// world is a database and a broker of one partition.
type world struct {
	log    Log
	rows   []int64
	events []int64 // what the broker retains from start
	start  int64

	repeats []int64
}

func (w *world) Logs(context.Context) ([]Log, error) { return []Log{w.log}, nil }

func (w *world) Offsets(_ context.Context, visit func(string, int32, int64)) error {
	for _, offset := range w.rows {
		visit(w.log.Label, w.log.Partition, offset)
	}
	return nil
}

func (w *world) Repeats(_ context.Context, visit func(string, int32, int64)) error {
	for _, offset := range w.repeats {
		visit(w.log.Label, w.log.Partition, offset)
	}
	return nil
}

func (w *world) Contradictions(context.Context) ([]Problem, error) { return nil, nil }

func (w *world) Bounds(context.Context, string, [16]byte) (map[int32]progress.Bounds, error) {
	return map[int32]progress.Bounds{w.log.Partition: {Start: w.start, End: w.log.Next + 3}}, nil
}

func (w *world) Scan(_ context.Context, _ string, _ int32, from, to int64, visit func(int64)) error {
	for _, offset := range w.events {
		if offset >= from && offset < to {
			visit(offset)
		}
	}
	return nil
}

func TestRun(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		world world
		want  []string // parts of the problems, in order
	}{
		"all there": {world{
			log:  Log{Label: "heartbeat-events", Current: true, First: 10, Next: 14, Records: 2, Anomalies: 1, Skipped: 1},
			rows: []int64{10, 11, 13}, events: []int64{10, 11, 13}}, nil},
		"doubled": {world{
			log:  Log{Label: "heartbeat-events", Current: true, First: 0, Next: 2, Records: 2},
			rows: []int64{0, 1, 1}, events: []int64{0, 1}},
			[]string{"P1: heartbeat-events partition 0 offsets 1 to 1: stored twice"}},
		"lost and covered up as skipped": {world{
			log:  Log{Label: "heartbeat-events", Current: true, First: 0, Next: 3, Records: 2, Skipped: 1},
			rows: []int64{0, 2}, events: []int64{0, 1, 2}},
			[]string{"P1: heartbeat-events partition 0 offsets 1 to 1: Kafka has a record that is not stored"}},
		"row deleted, broker past it": {world{
			log:  Log{Label: "heartbeat-events", Current: true, First: 0, Next: 3, Records: 3},
			rows: []int64{0, 2}, start: 3},
			[]string{"3 rows were written, 2 are there", "1 offsets have no row, want 0 skipped"}},
		"repeat dropped": {world{
			log:  Log{Label: "heartbeat-events", Current: true, First: 0, Next: 3, Records: 2, Skipped: 1},
			rows: []int64{0, 2}, repeats: []int64{1}, events: []int64{0, 1, 2}}, nil},
		"repeat stored too": {world{
			log:  Log{Label: "heartbeat-events", Current: true, First: 0, Next: 3, Records: 2, Skipped: 1},
			rows: []int64{0, 2}, repeats: []int64{2}, events: []int64{0, 2}},
			[]string{"P1: heartbeat-events partition 0 offsets 2 to 2: stored, and noted as a dropped repeat"}},
		"repeat not skipped": {world{
			log:  Log{Label: "heartbeat-events", Current: true, First: 0, Next: 3, Records: 2, Lost: 1},
			rows: []int64{0, 2}, repeats: []int64{1}, events: []int64{0, 1, 2}},
			[]string{"1 repeats are noted, more than the 0 skipped"}},
		"row beyond progress": {world{
			log:  Log{Label: "heartbeat-events", First: 0, Next: 1, Records: 1},
			rows: []int64{0, 1}},
			[]string{"a row is stored that no progress accounts for"}},
		"dropped by retention": {world{
			log:  Log{Label: "heartbeat-events", Current: true, First: 0, Next: 4, Records: 4, Dropped: 2},
			rows: []int64{2, 3}, events: []int64{1, 2, 3}, start: 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := Run(t.Context(), &test.world, &test.world, nil)
			if err != nil {
				t.Fatal(err)
			}
			if report.OK != (len(test.want) == 0) || len(report.Problems) != len(test.want) {
				t.Fatalf("ok %t, problems %v; want %d", report.OK, report.Problems, len(test.want))
			}
			for i, want := range test.want {
				if !strings.Contains(report.Problems[i].String(), want) {
					t.Errorf("problem %q lacks %q", report.Problems[i], want)
				}
			}
		})
	}
}

func TestGapsAreTheOffsetsWithoutARow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first, count := rapid.Int64Range(0, 1000).Draw(t, "first"), rapid.Int64Range(0, 300).Draw(t, "count")
		rows := rapid.SliceOfNDistinct(rapid.Int64Range(first, first+max(count-1, 0)), 0, int(count), rapid.ID[int64]).Draw(t, "rows")
		if count == 0 {
			rows = nil
		}
		all := newOffsetBitmaps([]Log{{First: first, Next: first + count}}, &Report{})
		stored := map[int64]bool{}
		for _, offset := range rows {
			all.mark("", 0, offset)
			stored[offset] = true
		}
		var want, got []int64
		for offset := first; offset < first+count; offset++ {
			if !stored[offset] {
				want = append(want, offset)
			}
		}
		for from, to := range all.ordered[0].gaps {
			for offset := from; offset < to; offset++ {
				got = append(got, offset)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("offsets without a row (-want +got):\n%s", diff)
		}
	})
}
