package simulate

import (
	"math"
	"testing"
	"time"

	"heartbeat/internal/heartbeat"
)

// TestMarginalIsThatOfTheSeedModel reads many people a few times each, far enough apart for the drifts to forget.
func TestMarginalIsThatOfTheSeedModel(t *testing.T) {
	t.Parallel()
	options := people
	options.Customers, options.Interval = 30_000, 5*time.Hour
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
