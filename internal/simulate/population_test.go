package simulate

import (
	"hash/fnv"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"heartbeat/internal/heartbeat"
)

// people is a population without injections and without episodes.
var people = PopulationOptions{Customers: 10_000, Seed: 42, Interval: 5 * time.Second, Start: at}

func newPopulation(t interface {
	Helper()
	Fatal(...any)
}, options PopulationOptions) *Population {
	t.Helper()
	population, err := NewPopulation(options)
	if err != nil {
		t.Fatal(err)
	}
	return population
}

// simulate calls see for each reading sent within the time.
func simulate(t testing.TB, options PopulationOptions, span time.Duration, see func(Reading)) {
	t.Helper()
	end := options.Start.Add(span)
	for reading := range newPopulation(t, options).Readings() {
		if !reading.Sent.Before(end) {
			return
		}
		see(reading)
	}
}

// TestMarginalIsThatOfTheSeedModel reads many people a few times each, far enough apart for the drifts to forget.
func TestMarginalIsThatOfTheSeedModel(t *testing.T) {
	t.Parallel()
	options := people
	options.Customers, options.Interval = 100_000, 5*time.Hour
	var counts [181]int
	n := 0
	simulate(t, options, 60*time.Hour, func(r Reading) {
		counts[r.Rate]++ // outside: panics
		n++
	})
	sum, squares := 0.0, 0.0
	for rate, count := range counts {
		sum += float64(rate) * float64(count)
	}
	mean := sum / float64(n)
	distance, below := 0.0, 0
	for rate, count := range counts {
		squares += (float64(rate) - mean) * (float64(rate) - mean) * float64(count)
		below += count
		distance = max(distance, math.Abs(float64(below)/float64(n)-clampedNormal(rate)))
	}
	deviation := math.Sqrt(squares / float64(n))
	if math.Abs(mean-75) > 0.1 || math.Abs(deviation-14.88) > 0.1 {
		t.Errorf("mean %.3f, standard deviation %.3f of %d readings; want 75 ± 0.1 and 14.88 ± 0.1", mean, deviation, n)
	}
	if distance >= 0.005 {
		t.Errorf("Kolmogorov-Smirnov distance from the clamped normal distribution %.5f, want below 0.005", distance)
	}
}

// clampedNormal is the chance of at most that rate when N(75, 15) is clamped to 40 and 180 and rounded.
func clampedNormal(rate int) float64 {
	switch {
	case rate < lowestRate:
		return 0
	case rate >= highestRate:
		return 1
	default:
		return (1 + math.Erf((float64(rate)+0.5-meanRate)/rateDeviation/math.Sqrt2)) / 2
	}
}

// TestOnePersonLooksLikeAPerson compares the autocorrelation within persons with that of real wearables.
func TestOnePersonLooksLikeAPerson(t *testing.T) {
	t.Parallel()
	options := people
	options.Customers, options.Interval = 150, time.Minute
	series := make([][]float64, options.Customers+1)
	simulate(t, options, 7*day, func(r Reading) { series[r.Customer] = append(series[r.Customer], float64(r.Rate)) })
	for minutes, want := range map[int]float64{1: 0.88, 5: 0.72, 20: 0.58, 60: 0.45, 180: 0.29} {
		product, square := 0.0, 0.0
		for _, rates := range series[1:] {
			mean := 0.0
			for _, rate := range rates {
				mean += rate / float64(len(rates))
			}
			pairs := len(rates) - minutes
			for i, rate := range rates[:pairs] {
				product += (rate - mean) * (rates[i+minutes] - mean)
				square += (rate - mean) * (rate - mean)
			}
		}
		if got := product / square; math.Abs(got-want) > 0.05 {
			t.Errorf("autocorrelation after %d min is %.3f, want %.2f ± 0.05", minutes, got, want)
		}
	}
}

// TestStepIsExactForAnyGap takes one body over a time in one step and in many.
func TestStepIsExactForAnyGap(t *testing.T) {
	t.Parallel()
	const bodies = 20_000
	for name, steps := range map[string][]time.Duration{
		"at once":  {90 * time.Second},
		"in parts": {time.Second, 19 * time.Second, 30 * time.Second, 40 * time.Second},
		"no time":  {90 * time.Second, 0},
	} {
		random := newFleet(t, contract).random
		var covariance, variance [len(drifts)]float64
		for range bodies {
			b := newBody(random, false)
			before := b.deviations
			for _, gap := range steps {
				b.step(random, gap)
			}
			for i := range drifts {
				covariance[i] += float64(before[i]) * float64(b.deviations[i]) / bodies
				variance[i] += float64(b.deviations[i]) * float64(b.deviations[i]) / bodies
			}
		}
		for i, drift := range drifts {
			want := drift.deviation * drift.deviation
			if math.Abs(variance[i]-want) > 0.03*want {
				t.Errorf("%s: variance of drift %d is %.4f, want %.4f", name, i, variance[i], want)
			}
			if kept := math.Exp(-90 / drift.seconds); math.Abs(covariance[i]-kept*want) > 0.03*want {
				t.Errorf("%s: covariance of drift %d is %.4f, want %.4f", name, i, covariance[i], kept*want)
			}
		}
	}
}

func TestInjectionsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	options := people
	options.AnomalyRate, options.InvalidRate = 0.05, 0.005
	var classes [4]int
	n, injected := 0, 0
	simulate(t, options, 5*time.Minute, func(r Reading) {
		class, _ := heartbeat.Classify(float64(r.Rate))
		classes[class]++
		n++
		if r.Injected {
			injected++
		}
	})
	for class, share := range map[heartbeat.Class]float64{
		heartbeat.Invalid: 0.005, heartbeat.Bradycardia: 0.995 * 0.025, heartbeat.Tachycardia: 0.995 * 0.025,
	} {
		checkShare(t, class.String(), classes[class], n, share)
	}
	if outside := n - classes[heartbeat.Normal]; injected != outside {
		t.Errorf("%d readings are injected, %d outside the normal range: want the same without episodes", injected, outside)
	}
}

// checkShare holds a count to the binomial limits that 99.9 % of all samples keep.
func checkShare(t *testing.T, what string, count, n int, share float64) {
	t.Helper()
	limit := 3.29 * math.Sqrt(float64(n)*share*(1-share))
	if math.Abs(float64(count)-float64(n)*share) > limit {
		t.Errorf("%s: %d of %d, want %.0f ± %.0f", what, count, n, float64(n)*share, limit)
	}
}

func TestEveryCustomerReportsAtASteadyInterval(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{time.Millisecond, 5 * time.Second, 5000 * time.Second} {
		options := people
		options.Customers, options.Interval = 100, interval
		last := map[heartbeat.CustomerID]time.Time{}
		perTenth := make([]int, 10)
		n := 0
		simulate(t, options, 20*interval, func(r Reading) {
			if gap := r.Time.Sub(last[r.Customer]); last[r.Customer] != (time.Time{}) && (gap < 79*interval/100 || gap > 121*interval/100) {
				t.Fatalf("interval %v: %v between two readings of %s", interval, gap, r.Customer)
			}
			last[r.Customer] = r.Time
			perTenth[int(r.Sent.Sub(at)%interval*10/interval)]++
			n++
		})
		if n < 1980 || n > 2020 {
			t.Errorf("interval %v: %d readings in 20 intervals of 100 customers, want 2000", interval, n)
		}
		for tenth, count := range perTenth {
			if count < 150 || count > 250 {
				t.Errorf("interval %v: %d readings in tenth %d of the interval, want about 200", interval, count, tenth)
			}
		}
	}
}

// fingerprint is a hash of all that a population sends, and of its truth, within the time.
func fingerprint(t testing.TB, options PopulationOptions, span time.Duration) uint64 {
	hash := fnv.New64a()
	options.Truth = func(e Episode) {
		line, err := e.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		hash.Write(line)
	}
	var line []byte
	simulate(t, options, span, func(r Reading) {
		line = r.Sent.AppendFormat(r.Event.AppendJSON(line[:0]), time.RFC3339Nano)
		hash.Write(line)
	})
	return hash.Sum64()
}

// busy is a population that has everything often.
func busy() PopulationOptions {
	options := people
	options.Customers, options.AnomalyRate, options.InvalidRate = 200, 0.05, 0.005
	for kind := range options.Episodes {
		options.Episodes[kind] = 2
	}
	options.Episodes[Fever] = 0.05
	return options
}

func TestSameSeedGivesTheSameBytesOnAnyNumberOfProcessors(t *testing.T) {
	options := busy()
	options.Interval = 20 * time.Second
	one := fingerprint(t, options, 12*time.Hour)
	before := runtime.GOMAXPROCS(1)
	again := fingerprint(t, options, 12*time.Hour)
	runtime.GOMAXPROCS(before)
	if one != again {
		t.Error("the same seed gives other bytes on one processor")
	}
	options.Seed++
	if other := fingerprint(t, options, 12*time.Hour); other == one {
		t.Error("another seed gives the same bytes")
	}
}

// TestShardsAreTheWholeInParts compares each customer's readings and all episodes, shard by shard.
func TestShardsAreTheWholeInParts(t *testing.T) {
	t.Parallel()
	const span = 2 * time.Hour
	collect := func(options PopulationOptions) ([]Reading, []Episode) {
		var readings []Reading
		var episodes []Episode
		options.Truth = func(e Episode) { episodes = append(episodes, e) }
		simulate(t, options, span, func(r Reading) { readings = append(readings, r) })
		return readings, episodes
	}
	whole, wholeTruth := collect(busy())
	for _, shards := range []int{2, 7, 200} {
		var parts []Reading
		var truth []Episode
		for shard := range shards {
			options := busy()
			options.Shard, options.Shards = shard, shards
			readings, episodes := collect(options)
			parts, truth = append(parts, readings...), append(truth, episodes...)
		}
		slices.SortStableFunc(parts, func(a, b Reading) int {
			if order := a.Sent.Compare(b.Sent); order != 0 {
				return order
			}
			return int(a.Customer) - int(b.Customer)
		})
		if !slices.Equal(parts, whole) {
			t.Errorf("%d shards have other readings than the whole: %d, want %d", shards, len(parts), len(whole))
		}
		ids := func(episodes []Episode) map[string]Episode {
			byID := map[string]Episode{}
			for _, e := range episodes {
				byID[e.ID] = e
			}
			return byID
		}
		// A shard ends with its own last reading; only what begins before both ends is comparable.
		got, want := ids(truth), ids(wholeTruth)
		for id, e := range want {
			if e.Onset.Before(at.Add(span-time.Minute)) && got[id] != e {
				t.Errorf("%d shards: episode %s is %+v, want %+v", shards, id, got[id], e)
			}
		}
		for id, e := range got {
			if e.Onset.Before(at.Add(span-time.Minute)) && want[id] != e {
				t.Errorf("%d shards: episode %s is not one of the whole", shards, id)
			}
		}
	}
}

// TestReadingsGoOnWhereTheyStopped ranges in pieces.
func TestReadingsGoOnWhereTheyStopped(t *testing.T) {
	t.Parallel()
	whole, pieces := newPopulation(t, busy()), newPopulation(t, busy())
	var want []Reading
	for reading := range whole.Readings() {
		if want = append(want, reading); len(want) == 2000 {
			break
		}
	}
	for i := 0; i < len(want); {
		for reading := range pieces.Readings() {
			if reading != want[i] {
				t.Fatalf("reading %d is %+v, want %+v", i, reading, want[i])
			}
			if i++; i%7 == 0 || i == len(want) {
				break
			}
		}
	}
}

func TestReadingsAreOrderedByTheTimeTheyAreSent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		options := busy()
		options.Seed = rapid.Uint64().Draw(t, "seed")
		options.Customers = rapid.IntRange(1, 50).Draw(t, "customers")
		options.Interval = time.Duration(rapid.Int64Range(int64(MinInterval), int64(2*time.Hour)).Draw(t, "interval"))
		var last Reading
		own := map[heartbeat.CustomerID]time.Time{}
		n := 0
		for reading := range newPopulation(t, options).Readings() {
			if reading.Sent.Before(last.Sent) {
				t.Fatalf("sent at %v after %v", reading.Sent, last.Sent)
			}
			if reading.Sent.Before(own[reading.Customer]) {
				t.Fatalf("%s sends at %v after %v", reading.Customer, reading.Sent, own[reading.Customer])
			}
			last, own[reading.Customer] = reading, reading.Sent
			if n++; n == 3000 {
				break
			}
		}
	})
}

// TestDayOfOneTimeZone finds everybody's rate highest in the afternoon there.
func TestDayOfOneTimeZone(t *testing.T) {
	t.Parallel()
	options := people
	options.Customers, options.Interval = 2000, 30*time.Minute
	options.Zone = time.FixedZone("there", 5*3600)
	sums, counts := make([]float64, 24), make([]float64, 24)
	simulate(t, options, 2*day, func(r Reading) {
		hour := r.Time.In(options.Zone).Hour()
		sums[hour] += float64(r.Rate)
		counts[hour]++
	})
	mean := func(hour int) float64 { return sums[hour] / counts[hour] }
	if mean(16)-mean(4) < 10 || math.Abs(mean(10)-mean(22)) > 4 {
		t.Errorf("mean rates at 4, 10, 16, 22 o'clock: %.1f, %.1f, %.1f, %.1f; want the highest at 16, the lowest at 4", mean(4), mean(10), mean(16), mean(22))
	}
}

func TestPopulationIsSmall(t *testing.T) {
	const customers = 200_000
	options := people
	options.Customers = customers
	options.Episodes = DefaultRates()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	population := newPopulation(t, options)
	for range population.Readings() {
		break
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := float64(after.HeapAlloc-before.HeapAlloc) / customers; each > 64 {
		t.Errorf("a customer takes %.1f bytes, want at most 64", each)
	}
	if size := unsafe.Sizeof(customer{}); size > 56 {
		t.Errorf("the state of a customer has %d bytes, want at most 56", size)
	}
	runtime.KeepAlive(population)
}

func TestPopulationRefusesOptionsOutOfTheirRange(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*PopulationOptions)
		text   string
	}{
		"no customers":  {func(o *PopulationOptions) { o.Customers = 0 }, "customer pool size 0: want 1 to 10000000"},
		"anomaly rate":  {func(o *PopulationOptions) { o.AnomalyRate = 2 }, "anomaly injection rate 2: want 0 to 1"},
		"no interval":   {func(o *PopulationOptions) { o.Interval = 0 }, "interval of a customer 0s: want 1ms to 8784h0m0s"},
		"long interval": {func(o *PopulationOptions) { o.Interval = MaxInterval + 1 }, "interval of a customer 8784h0m0.000000001s: want 1ms to 8784h0m0s"},
		"shard":         {func(o *PopulationOptions) { o.Shard, o.Shards = 3, 3 }, "shard 3: want 0 to 2"},
		"empty shard":   {func(o *PopulationOptions) { o.Customers, o.Shard, o.Shards = 2, 2, 3 }, "shard 2: want 0 to 1"},
		"episodes":      {func(o *PopulationOptions) { o.Episodes[Exercise] = math.NaN() }, "episodes a day exercise=NaN: want a number a day, 0 to 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := people
			test.change(&options)
			_, err := NewPopulation(options)
			if err == nil || err.Error() != "simulate population: "+test.text {
				t.Errorf("error %v, want %q", err, test.text)
			}
		})
	}
}

func BenchmarkPopulation(b *testing.B) {
	b.ReportAllocs()
	options := people
	options.AnomalyRate, options.InvalidRate, options.Episodes = 0.05, 0.005, DefaultRates()
	population := newPopulation(b, options)
	n := 0
	b.ResetTimer()
	for range population.Readings() {
		if n++; n >= b.N {
			break
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "readings/s")
}
