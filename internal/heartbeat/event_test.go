package heartbeat

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestEventHasTheWireForm(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		event Event
		want  string
	}{
		{
			Event{42, 75, time.Date(2026, 2, 20, 10, 0, 0, 123_456_000, time.UTC)},
			`{"customer_id":"CUST_00042","heart_rate":75,"timestamp":"2026-02-20T10:00:00.123456+00:00"}`,
		},
		{
			Event{1, 0, time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC)},
			`{"customer_id":"CUST_00001","heart_rate":0,"timestamp":"2026-02-20T10:00:00.000000+00:00"}`,
		},
		{
			Event{1_234_567, -1, time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC)},
			`{"customer_id":"CUST_1234567","heart_rate":-1,"timestamp":"2026-12-31T23:59:59.999999+00:00"}`,
		},
		{
			Event{10_000, 400, time.Date(2026, 1, 1, 1, 30, 0, 50_000, time.FixedZone("", 2*60*60))},
			`{"customer_id":"CUST_10000","heart_rate":400,"timestamp":"2025-12-31T23:30:00.000050+00:00"}`,
		},
	} {
		if diff := cmp.Diff(test.want, string(test.event.AppendJSON(nil))); diff != "" {
			t.Errorf("wire form of %+v (-want +got):\n%s", test.event, diff)
		}
	}
}

func TestEventIsAppended(t *testing.T) {
	t.Parallel()
	event := Event{42, 75, time.Unix(1_800_000_000, 0)}
	alone := string(event.AppendJSON(nil))
	if got := string(event.AppendJSON([]byte("before "))); got != "before "+alone {
		t.Errorf("appended to %q: %s", "before ", got)
	}
}

func TestEventDecodesToItself(t *testing.T) {
	t.Parallel()
	last := time.Date(2199, 12, 31, 23, 59, 59, 0, time.UTC).UnixMicro()
	rapid.Check(t, func(t *rapid.T) {
		checkRoundTrip(t, Event{
			Customer: CustomerID(rapid.Uint32Max(uint32(MaxCustomerID)).Draw(t, "customer")),
			Rate:     BPM(rapid.Int32Range(math.MinInt32, math.MaxInt32).Draw(t, "rate")),
			Time:     time.UnixMicro(rapid.Int64Range(earliest*1_000_000, last).Draw(t, "time")).UTC(),
		})
	})
}

func TestEarliestEventDecodesToItself(t *testing.T) {
	t.Parallel()
	checkRoundTrip(t, Event{Customer: 0, Rate: 0, Time: time.Unix(earliest, 0).UTC()})
}

func checkRoundTrip(t fataler, event Event) {
	t.Helper()
	var decoder Decoder
	reading, rejection := decoder.Decode(Record{Value: event.AppendJSON(nil), Timestamp: event.Time})
	if rejection != nil {
		t.Fatalf("%s is rejected: %v", event.AppendJSON(nil), rejection)
	}
	if got := (Event{reading.Customer, reading.BPM, reading.Time}); got != event {
		t.Fatalf("decoded %+v, want %+v", got, event)
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	b.ReportAllocs()
	event := Event{42, 75, time.Date(2026, 2, 20, 10, 0, 0, 123_456_000, time.UTC)}
	var buffer []byte
	for b.Loop() {
		buffer = event.AppendJSON(buffer[:0])
	}
	b.SetBytes(int64(len(buffer)))
}
