package heartbeat

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// An event that the fast path reads must be read the same by the strict path.
func TestFastPathReadsAsTheStrictPathDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		event := Event{
			Customer: CustomerID(rapid.Uint32Range(0, uint32(MaxCustomerID)).Draw(t, "customer")),
			Rate:     BPM(rapid.Int32Range(-10, 1100).Draw(t, "rate")),
			Time:     kafka.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(20*time.Minute)).Draw(t, "age"))).Truncate(time.Microsecond),
		}
		value := event.AppendJSON(nil)
		for range rapid.IntRange(0, 3).Draw(t, "faults") {
			at := rapid.IntRange(0, len(value)-1).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "fault") {
			case 0:
				value[at] = rapid.Byte().Draw(t, "byte")
			case 1:
				value = slices.Delete(value, at, at+1)
			default:
				value = slices.Insert(value, at, rapid.SampledFrom([]byte(" \"\\,:{}0-+.eEuTZ\x00\xff")).Draw(t, "extra"))
			}
		}
		compareReadings(t, value)
	})
}

func compareReadings(t interface {
	Errorf(string, ...any)
}, value []byte) {
	var decoder Decoder
	record := Record{Value: value, Timestamp: kafka}
	fast, ok := decoder.fastPath(&record)
	if !ok {
		return
	}
	strict, rejection := decoder.strict(record)
	if rejection != nil {
		t.Errorf("%s is read by the fast path and rejected by the strict path: %v", value, rejection)
	} else if diff := cmp.Diff(strict, fast); diff != "" {
		t.Errorf("%s is read differently by the strict path (-strict +fast):\n%s", value, diff)
	}
}

func TestFastPathReadsOurOwnEvents(t *testing.T) {
	t.Parallel()
	var decoder Decoder
	for _, event := range []Event{{1, 75, kafka}, {99_999, 1, kafka}, {100_000, 400, kafka}} {
		record := Record{Value: event.AppendJSON(nil), Timestamp: kafka}
		if _, ok := decoder.fastPath(&record); !ok {
			t.Errorf("%s is not read by the fast path", record.Value)
		}
	}
}

func FuzzFastPath(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(with("heart_rate", `100`)))
	f.Add([]byte(with("timestamp", `"2026-02-20 10:00:00.1Z"`)))
	f.Fuzz(func(t *testing.T, value []byte) { compareReadings(t, value) })
}
