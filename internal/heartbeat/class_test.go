package heartbeat

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestClassifyAtEveryBoundary(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rate  float64
		class Class
		bpm   BPM
	}{
		{math.Inf(-1), Invalid, math.MinInt32},
		{-1e300, Invalid, math.MinInt32},
		{math.MinInt32 - 1.0, Invalid, math.MinInt32},
		{-5, Invalid, -5},
		{-1, Invalid, -1},
		{-0.5, Invalid, -1},
		{-0.4, Invalid, 0},
		{math.Copysign(0, -1), Invalid, 0},
		{0, Invalid, 0},
		{5e-324, Bradycardia, 1},
		{0.2, Bradycardia, 1},
		{1, Bradycardia, 1},
		{1.5, Bradycardia, 2},
		{39, Bradycardia, 39},
		{39.4, Bradycardia, 39},
		{39.5, Bradycardia, 39},
		{39.9, Bradycardia, 39},
		{math.Nextafter(40, 0), Bradycardia, 39},
		{40, Normal, 40},
		{40.4, Normal, 40},
		{40.5, Normal, 41},
		{72.5, Normal, 73},
		{75, Normal, 75},
		{179.5, Normal, 180},
		{180, Normal, 180},
		{math.Nextafter(180, 181), Tachycardia, 181},
		{180.4, Tachycardia, 181},
		{180.5, Tachycardia, 181},
		{180.9, Tachycardia, 181},
		{181, Tachycardia, 181},
		{299.5, Tachycardia, 300},
		{300, Tachycardia, 300},
		{math.Nextafter(300, 301), Invalid, 301},
		{300.4, Invalid, 301},
		{300.5, Invalid, 301},
		{301, Invalid, 301},
		{301.5, Invalid, 302},
		{400, Invalid, 400},
		{99999, Invalid, 99999},
		{math.MaxInt32 + 1.0, Invalid, math.MaxInt32},
		{1e300, Invalid, math.MaxInt32},
		{math.Inf(1), Invalid, math.MaxInt32},
	} {
		if class, bpm := Classify(test.rate); class != test.class || bpm != test.bpm {
			t.Errorf("Classify(%v) = %s, %d, want %s, %d", test.rate, class, bpm, test.class, test.bpm)
		}
	}
}

func TestClassifyStoresTheNearestIntegerInsideTheClass(t *testing.T) {
	t.Parallel()
	limits := map[Class][2]float64{Bradycardia: {1, 39}, Normal: {40, 180}, Tachycardia: {181, 300}}
	rates := rapid.OneOf(rapid.Float64Range(-2, 302), rapid.Float64())
	rapid.Check(t, func(t *rapid.T) {
		rate := rates.Draw(t, "rate")
		class, bpm := Classify(rate)
		nearest := math.Round(rate)
		switch limit := limits[class]; {
		case class != Invalid:
			nearest = min(max(nearest, limit[0]), limit[1])
		case rate > 0:
			nearest = min(max(nearest, 301), math.MaxInt32)
		default:
			nearest = max(nearest, math.MinInt32)
		}
		if float64(bpm) != nearest {
			t.Fatalf("Classify(%v) = %s, %d, want %v bpm", rate, class, bpm, nearest)
		}
		if again, same := Classify(float64(bpm)); again != class || same != bpm {
			t.Fatalf("Classify(%v) = %s, %d, but that rate is %s, %d", rate, class, bpm, again, same)
		}
	})
}

func TestClassNames(t *testing.T) {
	t.Parallel()
	for class, want := range map[Class]string{
		Normal: "NORMAL", Bradycardia: "BRADYCARDIA", Tachycardia: "TACHYCARDIA", Invalid: "INVALID",
	} {
		if class.String() != want {
			t.Errorf("class %d is %s, want %s", uint8(class), class, want)
		}
		if class.Anomaly() != (class != Normal) {
			t.Errorf("%s.Anomaly() = %t", class, class.Anomaly())
		}
	}
	for _, class := range AnomalyClasses {
		if !class.Anomaly() {
			t.Errorf("AnomalyClasses has %s, which is none", class)
		}
	}
}

func BenchmarkClassify(b *testing.B) {
	b.ReportAllocs()
	rates := [...]float64{75, 39.9, 180.9, 0, 300.4, 1e300, 72.5, 100}
	i := 0
	for b.Loop() {
		Classify(rates[i%len(rates)])
		i++
	}
}
