package importer

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"heartbeat/internal/heartbeat"
)

// Whatever a file has, a consumer reads it as the class and value that the import compared.
func TestEventIsReadAsItWasCompared(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		e := event{
			Customer: heartbeat.CustomerID(rapid.Uint32Range(0, 999_999_999).Draw(t, "customer")),
			Rate: rapid.OneOf(rapid.Float64Range(-10, 400), rapid.Map(rapid.IntRange(-1, 302), func(n int) float64 { return float64(n) }),
				rapid.SampledFrom([]float64{math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 1e300, 1e-300, 39.999999, 180.5})).Draw(t, "rate"),
			Time:   now.Add(-time.Duration(rapid.Int64Range(0, 20*365*24*3600*1e6).Draw(t, "age")) * time.Microsecond),
			Device: rapid.OneOf(rapid.Just(""), rapid.String()).Draw(t, "device"),
		}
		value := e.appendJSON(nil)
		var decoder heartbeat.Decoder
		got, rejection := decoder.Decode(heartbeat.Record{Value: value, Timestamp: now})
		class, bpm := heartbeat.Classify(e.Rate)
		if want := (heartbeat.Reading{Customer: e.Customer, Class: class, BPM: bpm, Time: e.Time}); rejection != nil || got != want {
			t.Fatalf("%s is read as %+v, %v, want %+v", value, got, rejection, want)
		}
	})
}
