package report

import "fmt"

// Target is a required figure and what this run measured.
type Target struct {
	Name string `json:"name"`
	Want string `json:"want"`
	Got  string `json:"got"`
	Met  bool   `json:"met"`
}

const (
	wantRatio       = 1.0
	wantRatioSorted = 0.85
	wantProduce     = 500_000
	wantRowBytes    = 150
	wantResident    = 100 << 20
	wantBigResident = 1 << 30
	wantDecline     = 0.95
	wantBackfill    = 2.0
	wantDetection   = 0.95
	wantIngestP99   = 50 // ms
)

// wantP99 is the limit of the 99th percentile of the latency in milliseconds, by rate.
var wantP99 = map[int]float64{10_000: 10, 100_000: 50}

// targets compares what was measured with the required figures.
func (r *Report) targets() []Target {
	var all []Target
	atLeast := func(name string, want, got float64, form func(float64) string) {
		all = append(all, Target{name, "≥ " + form(want), form(got), got >= want})
	}
	atMost := func(name string, want, got float64, form func(float64) string) {
		all = append(all, Target{name, "≤ " + form(want), form(got), got <= want})
	}
	if len(r.Drain.PerSecond.Rounds) > 0 {
		atLeast("drain ÷ limit in the order of arrival", wantRatio, r.DrainRatio, hundredths)
		atLeast("drain ÷ limit sorted", wantRatioSorted, r.DrainRatioSorted, hundredths)
		atLeast("produce, events a second", wantProduce, r.Produce.PerSecond.Median, thousands)
	}
	if d := r.Detection; d != nil {
		atLeast("drain with detection ÷ without", wantDetection, d.Ratio.Median, hundredths)
	}
	if i := r.Ingest; i != nil {
		atLeast("readings a second over HTTP", IngestPerSecond, i.Most, thousands)
		atMost("p99 of requests at half of that, ms", wantIngestP99, i.HalfLatency.P99, tenths)
		atMost("p99 of single readings at 5,000 a second, ms", wantIngestP99, i.SingleLatency.P99, tenths)
	}
	if resident := r.resident(); resident > 0 {
		atMost("consumer's memory at any rate", wantResident, float64(resident), mebibytes)
	}
	for _, s := range r.Steady {
		if want, ok := wantP99[s.PerSecond]; ok {
			atMost(fmt.Sprintf("p99 at %s a second, ms", thousands(float64(s.PerSecond))), want, s.Latency.P99, tenths)
		}
	}
	r.growthTargets(atLeast, atMost)
	if b := r.BigFleet; b != nil {
		atMost(fmt.Sprintf("consumer's memory with %s customers", thousands(float64(b.Customers))), wantBigResident, float64(b.ResidentBytes), mebibytes)
	}
	if b := r.Backfill; b != nil {
		atMost("live p99 beside a backfill ÷ alone", wantBackfill, b.Background.P99Ratio, hundredths)
	}
	return all
}

// resident is the maximum memory of a consumer with the default fleet.
func (r *Report) resident() int64 {
	most := r.DrainDetails.ResidentBytes
	for _, s := range r.Steady {
		most = max(most, s.ResidentBytes)
	}
	return most
}

type comparison func(name string, want, got float64, form func(float64) string)

func (r *Report) growthTargets(atLeast, atMost comparison) {
	if r.Reindexed != nil {
		atMost("bytes of table and indexes a record, reindexed", wantRowBytes, r.Reindexed.BytesPerReading, thousands)
	}
	if len(r.Growth) > 1 {
		fullest := r.Growth[len(r.Growth)-1]
		atLeast(fmt.Sprintf("drain from %s rows on ÷ from %s", thousands(float64(fullest.Rows)), thousands(float64(r.Growth[0].Rows))),
			wantDecline, fullest.OfFirst.Median, hundredths)
	}
}

func tenths(f float64) string { return fmt.Sprintf("%.1f", f) }

func hundredths(f float64) string { return fmt.Sprintf("%.2f", f) }
