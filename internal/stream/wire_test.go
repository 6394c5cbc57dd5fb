package stream_test

import (
	"encoding/base64"
	"os"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/live"
	"heartbeat/internal/stream"
)

// goldenFrame is what both the server's and the console's tests hold to.
const goldenFrame = "../../web/src/testdata/frame.json"

func TestFrameIsWhatTheConsoleReads(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_771_581_600_000)
	ago := func(d time.Duration) int64 { return at.Add(-d).UnixMicro() }
	type seen struct {
		Customer int64  `json:"customer"`
		Rate     int32  `json:"rate"`
		Silent   bool   `json:"silent"`
		Time     int64  `json:"time"`
		Since    *int64 `json:"since,omitzero"`
	}
	since := func(d time.Duration) *int64 { return new(at.Add(-d).UnixMilli()) }
	cases := []struct {
		change live.Change
		seen   seen
	}{
		{live.Change{Customer: 0, BPM: 75, Time: ago(200 * time.Millisecond), Since: ago(time.Minute)}, seen{0, 75, false, at.UnixMilli(), nil}},
		{live.Change{Customer: 1, BPM: 30, StateChanged: true, Time: ago(0), Since: ago(0)}, seen{1, 30, false, at.UnixMilli(), since(0)}},
		{live.Change{Customer: 2, BPM: 250, Time: ago(0)}, seen{2, 250, false, at.UnixMilli(), nil}},
		{live.Change{Customer: 3, BPM: 251, Time: ago(0)}, seen{3, 251, false, at.UnixMilli(), nil}},
		{live.Change{Customer: 200, BPM: 0, StateChanged: true, Time: ago(0), Since: ago(2 * time.Second)}, seen{200, 0, false, at.UnixMilli(), since(2 * time.Second)}},
		{live.Change{Customer: 201, BPM: 75, Silent: true, StateChanged: true, Time: ago(50 * time.Second), Since: ago(50 * time.Second)}, seen{201, 75, true, at.Add(-50 * time.Second).UnixMilli(), since(50 * time.Second)}},
		{live.Change{Customer: 70_000, BPM: -2147483648, Time: ago(-5 * time.Minute)}, seen{70_000, -2147483648, false, at.Add(5 * time.Minute).UnixMilli(), nil}},
		{live.Change{Customer: 999_999_999, BPM: 2147483647, StateChanged: true, Time: ago(30 * 24 * time.Hour), Since: ago(31 * 24 * time.Hour)},
			seen{999_999_999, 2147483647, false, at.Add(-30 * 24 * time.Hour).UnixMilli(), since(31 * 24 * time.Hour)}},
	}
	frame := &live.Frame{From: 6, To: 7, At: at, Observed: 8, Rate: 2}
	var golden struct {
		Frame   jsontext.Value `json:"frame"`
		Changes []seen         `json:"changes"`
	}
	for _, c := range cases {
		frame.Changes = append(frame.Changes, c.change)
		golden.Changes = append(golden.Changes, c.seen)
	}
	data, err := stream.EncodeFrame(frame)
	if err != nil {
		t.Fatal(err)
	}
	golden.Frame = data
	got, err := json.Marshal(golden, jsontext.WithIndent("  "))
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(goldenFrame, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenFrame)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Errorf("%s differs (-file +server); UPDATE_GOLDEN=1 rewrites it:\n%s", goldenFrame, diff)
	}
}

func TestTimelyChangesTakeTwoBytes(t *testing.T) {
	t.Parallel()
	at := time.Now()
	frame := &live.Frame{From: 1, To: 2, At: at}
	const changes = 2500 // a quarter of ten thousand
	for i := range changes {
		change := live.Change{Customer: heartbeat.CustomerID(4 * i), BPM: 75, Time: at.UnixMicro(), Since: at.Add(-time.Hour).UnixMicro()}
		if i%3 == 0 {
			change.StateChanged, change.Since = true, change.Time
		}
		frame.Changes = append(frame.Changes, change)
	}
	data, err := stream.EncodeFrame(frame)
	if err != nil {
		t.Fatal(err)
	}
	if want := base64.StdEncoding.EncodedLen(2*changes) + 150; len(data) > want {
		t.Errorf("a frame of %d timely changes has %d bytes, want at most %d", changes, len(data), want)
	}
}
