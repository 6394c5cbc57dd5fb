package simulate

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"heartbeat/internal/heartbeat"
)

// contract is the fleet as it is by default.
var contract = Options{Customers: 10_000, AnomalyRate: 0.05, InvalidRate: 0.005, Seed: 42}

// sample is how many events a statement about chances needs.
const sample = 200_000

var at = time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC)

func newFleet(t interface{ Fatal(...any) }, options Options) *Fleet {
	fleet, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return fleet
}

// fataler is the part of a test that the helpers need, so that they serve plain and property tests.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func draw(t fataler, options Options, n int) []heartbeat.Event {
	fleet := newFleet(t, options)
	events := make([]heartbeat.Event, n)
	for i := range events {
		events[i] = fleet.Next(at)
	}
	return events
}

func TestSameSeedAndWorkerGiveTheSameEvents(t *testing.T) {
	t.Parallel()
	if !slices.Equal(draw(t, contract, 1000), draw(t, contract, 1000)) {
		t.Error("two fleets with the same options differ")
	}
	for name, change := range map[string]func(*Options){
		"another seed":   func(o *Options) { o.Seed++ },
		"another worker": func(o *Options) { o.Worker++ },
	} {
		other := contract
		change(&other)
		if slices.Equal(draw(t, contract, 10), draw(t, other, 10)) {
			t.Errorf("%s draws the same events", name)
		}
	}
}

func TestWorkersOfOneSeedAreUnrelated(t *testing.T) {
	t.Parallel()
	options := contract
	options.Customers = 10
	first := draw(t, options, sample)
	for worker := 1; worker <= 8; worker++ {
		options.Worker = worker
		same := make([]int, 10) // by how far apart the customers are
		for i, event := range draw(t, options, sample) {
			same[(int(event.Customer)-int(first[i].Customer)+10)%10]++
		}
		checkDistribution(t, "customers of two workers", same, uniform(10))
	}
}

func TestPoolIsDrawnUniformly(t *testing.T) {
	t.Parallel()
	counts := make([]int, contract.Customers)
	texts := map[string]bool{}
	for _, event := range draw(t, contract, sample) {
		if event.Customer < 1 || int(event.Customer) > contract.Customers {
			t.Fatalf("customer %s is not in the pool of %d", event.Customer, contract.Customers)
		}
		counts[event.Customer-1]++
		texts[event.Customer.String()] = true
	}
	checkDistribution(t, "customers", counts, uniform(len(counts)))
	if len(texts) != contract.Customers || !texts["CUST_00001"] || !texts["CUST_10000"] {
		t.Errorf("%d ids are in use, want CUST_00001 to CUST_10000", len(texts))
	}
}

func TestPoolLimits(t *testing.T) {
	t.Parallel()
	one := contract
	one.Customers = 1
	for _, event := range draw(t, one, 100) {
		if event.Customer != 1 {
			t.Fatalf("customer %s in a pool of one", event.Customer)
		}
	}
	most := contract
	most.Customers = MaxCustomers
	for _, event := range draw(t, most, 100_000) {
		if _, err := heartbeat.ParseCustomerID(event.Customer.String()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRatesAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		anomaly, invalid float64
	}{
		"by default":         {0.05, 0.005},
		"no injection":       {0, 0},
		"anomalies alone":    {0.05, 0},
		"faults alone":       {0, 0.005},
		"nothing else":       {1, 0},
		"faults go first":    {1, 1},
		"all faulty":         {0, 1},
		"half and the rest":  {1, 0.5},
		"half and half":      {0.5, 0.5},
		"seldom":             {0.001, 0.0001},
		"almost always both": {0.999, 0.999},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := Options{Customers: 100, AnomalyRate: test.anomaly, InvalidRate: test.invalid, Seed: 7}
			counts := make([]int, 4)
			for _, event := range draw(t, options, sample) {
				class, _ := heartbeat.Classify(float64(event.Rate))
				counts[class]++
			}
			anomaly := (1 - test.invalid) * test.anomaly
			want := make([]float64, 4)
			want[heartbeat.Invalid] = test.invalid
			want[heartbeat.Bradycardia] = anomaly / 2
			want[heartbeat.Tachycardia] = anomaly / 2
			want[heartbeat.Normal] = 1 - test.invalid - anomaly
			checkDistribution(t, "classes", counts, want)
		})
	}
}

func TestHeartRatesOfEachPath(t *testing.T) {
	t.Parallel()
	normal := func(rate int) float64 {
		below := func(x float64) float64 { return (1 + math.Erf((x-75)/15/math.Sqrt2)) / 2 }
		switch rate {
		case 40:
			return below(40.5)
		case 180:
			return 1 - below(179.5)
		default:
			return below(float64(rate)+0.5) - below(float64(rate)-0.5)
		}
	}
	for name, test := range map[string]struct {
		options     Options
		least, most int
		probability func(rate int) float64
	}{
		"normal":       {Options{Customers: 1}, 40, 180, normal},
		"bradycardia":  {Options{Customers: 1, AnomalyRate: 1}, 15, 39, func(int) float64 { return 0.5 / 25 }},
		"tachycardia":  {Options{Customers: 1, AnomalyRate: 1}, 181, 220, func(int) float64 { return 0.5 / 40 }},
		"faults below": {Options{Customers: 1, InvalidRate: 1}, -1, 0, func(int) float64 { return 0.25 }},
		"faults above": {Options{Customers: 1, InvalidRate: 1}, 301, 400, func(rate int) float64 {
			if rate == 301 || rate == 400 {
				return 0.25
			}
			return 0
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			others := test.most - test.least + 1 // counts what is outside the range
			counts, want := make([]int, others+1), make([]float64, others+1)
			want[others] = 1
			for rate := test.least; rate <= test.most; rate++ {
				want[rate-test.least] = test.probability(rate)
				want[others] -= test.probability(rate)
			}
			want[others] = max(0, math.Round(want[others]*1e9)/1e9)
			for _, event := range draw(t, test.options, sample) {
				if rate := int(event.Rate); rate < test.least || rate > test.most {
					counts[others]++
				} else {
					counts[rate-test.least]++
				}
			}
			checkDistribution(t, "heart rates", counts, want)
		})
	}
}

func TestNormalRateIsRoundedAndClamped(t *testing.T) {
	t.Parallel()
	for deviations, want := range map[float64]heartbeat.BPM{
		-10: 40, -36.0 / 15: 40, -35.0 / 15: 40, -34.4 / 15: 41, -1: 60, -0.4 / 15: 75, 0: 75, 0.4 / 15: 75, 0.6 / 15: 76,
		1: 90, 104.4 / 15: 179, 105.0 / 15: 180, 106.0 / 15: 180, 10: 180,
	} {
		if got := normalRate(deviations); got != want {
			t.Errorf("%v standard deviations from the mean are %d bpm, want %d", deviations, got, want)
		}
	}
}

// checkDistribution wants counts that chance gives with these probabilities: none where the probability is 0, and a
// chi-square within five standard deviations of its mean. The seeds are fixed, so it says the same each time.
func checkDistribution(t *testing.T, what string, counts []int, probabilities []float64) {
	t.Helper()
	total := 0
	for _, count := range counts {
		total += count
	}
	chiSquare, freedom := 0.0, -1.0
	rareCount, rareExpected := 0.0, 0.0 // too few for the approximation to hold one by one
	add := func(count, expected float64) {
		chiSquare += (count - expected) * (count - expected) / expected
		freedom++
	}
	for i, count := range counts {
		switch expected := probabilities[i] * float64(total); {
		case expected == 0 && count > 0:
			t.Errorf("%s: %d of %d are number %d, want none", what, count, total, i)
		case expected == 0:
		case expected < 10:
			rareCount += float64(count)
			rareExpected += expected
		default:
			add(float64(count), expected)
		}
	}
	if rareExpected > 1 {
		add(rareCount, rareExpected)
	}
	freedom = max(freedom, 0)
	if limit := freedom + 5*math.Sqrt(2*freedom) + 1e-6; chiSquare > limit {
		t.Errorf("%s: chi-square is %.1f, want at most %.1f\ncounts %v", what, chiSquare, limit, counts)
	}
}

func uniform(n int) []float64 { return slices.Repeat([]float64{1 / float64(n)}, n) }

func TestEveryEventIsWithinTheOptions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.OneOf(rapid.SampledFrom([]float64{0, 1}), rapid.Float64Range(0, 1))
		options := Options{
			Customers:   rapid.IntRange(1, MaxCustomers).Draw(t, "customers"),
			AnomalyRate: share.Draw(t, "anomaly rate"),
			InvalidRate: share.Draw(t, "invalid rate"),
			Seed:        rapid.Uint64().Draw(t, "seed"),
			Worker:      rapid.IntRange(0, 1000).Draw(t, "worker"),
		}
		checkEvents(t, options)
	})
}

func TestEventsAreWithinTheOptionsAtTheirLimits(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]Options{
		"one customer":            {Customers: 1},
		"the largest pool":        {Customers: MaxCustomers},
		"the lowest bradycardia":  {Customers: 1, AnomalyRate: 1, Seed: 6},
		"the highest tachycardia": {Customers: 1, AnomalyRate: 1},
		"every event invalid":     {Customers: 1, InvalidRate: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkEvents(t, options)
		})
	}
}

// checkEvents draws events twice: the same options give the same events, each within the options.
func checkEvents(t fataler, options Options) {
	t.Helper()
	events := draw(t, options, 50)
	if !slices.Equal(events, draw(t, options, 50)) {
		t.Fatal("the same options give different events")
	}
	for _, event := range events {
		checkEvent(t, options, event)
	}
}

func checkEvent(t fataler, options Options, event heartbeat.Event) {
	rate := event.Rate
	normal := rate >= 40 && rate <= 180
	anomaly := rate >= 15 && rate <= 39 || rate >= 181 && rate <= 220
	fault := slices.Contains([]heartbeat.BPM{-1, 0, 301, 400}, rate)
	switch {
	case event.Customer < 1 || int(event.Customer) > options.Customers:
		t.Fatalf("customer %s of %d", event.Customer, options.Customers)
	case !event.Time.Equal(at):
		t.Fatalf("time %v, want %v", event.Time, at)
	case !normal && !anomaly && !fault:
		t.Fatalf("heart rate %d comes from nowhere", rate)
	case fault && options.InvalidRate == 0, !fault && options.InvalidRate == 1:
		t.Fatalf("heart rate %d with an invalid rate of %v", rate, options.InvalidRate)
	case anomaly && options.AnomalyRate == 0, normal && options.AnomalyRate == 1:
		t.Fatalf("heart rate %d with an anomaly rate of %v", rate, options.AnomalyRate)
	}
}

func TestNextKeepsTheTime(t *testing.T) {
	t.Parallel()
	fleet := newFleet(t, contract)
	for i := range 10 {
		if want := at.Add(time.Duration(i) * time.Second); fleet.Next(want).Time != want {
			t.Errorf("event %d has another time than the one given", i)
		}
	}
}

func BenchmarkFleet(b *testing.B) {
	b.ReportAllocs()
	fleet := newFleet(b, contract)
	for b.Loop() {
		fleet.Next(at)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func TestCustomersReportOneAfterTheOther(t *testing.T) {
	t.Parallel()
	const customers, workers = 10, 3
	options := Options{Customers: customers, InTurn: true, Workers: workers}
	var fleets []*Fleet
	for worker := range workers {
		options.Worker = worker
		fleet, err := New(options)
		if err != nil {
			t.Fatal(err)
		}
		fleets = append(fleets, fleet)
	}
	for round := range 3 {
		for turn := range customers {
			event := round*customers + turn
			if got, want := fleets[event%workers].Next(time.Time{}).Customer, heartbeat.CustomerID(turn+1); got != want {
				t.Fatalf("event %d is of %s, want %s", event, got, want)
			}
		}
	}
}
