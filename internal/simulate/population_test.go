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
	const span = 6 * time.Hour
	options := busy()
	options.Customers, options.Interval = 100, 20*time.Second
	one := fingerprint(t, options, span)
	before := runtime.GOMAXPROCS(1)
	again := fingerprint(t, options, span)
	runtime.GOMAXPROCS(before)
	if one != again {
		t.Error("the same seed gives other bytes on one processor")
	}
	options.Seed++
	if other := fingerprint(t, options, span); other == one {
		t.Error("another seed gives the same bytes")
	}
}

// TestShardsAreTheWholeInParts compares each customer's readings and all episodes, shard by shard.
func TestShardsAreTheWholeInParts(t *testing.T) {
	t.Parallel()
	const span = time.Hour
	population := busy()
	population.Customers = 100
	collect := func(options PopulationOptions) ([]Reading, []Episode) {
		var readings []Reading
		var episodes []Episode
		options.Truth = func(e Episode) { episodes = append(episodes, e) }
		simulate(t, options, span, func(r Reading) { readings = append(readings, r) })
		return readings, episodes
	}
	whole, wholeTruth := collect(population)
	for _, shards := range []int{2, 7, 100} {
		var parts []Reading
		var truth []Episode
		for shard := range shards {
			options := population
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
