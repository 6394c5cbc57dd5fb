package heartbeat

import "math"

// Class says what a heart rate means.
type Class uint8

// The classes of a valid reading. All but Normal are anomalies and raise an alert.
const (
	Normal      Class = iota // 40 to 180 bpm inclusive
	Bradycardia              // above 0 and below 40
	Tachycardia              // above 180 up to 300 inclusive
	Invalid                  // 0 and below, or above 300: no heart does that, a sensor does; or measured without contact with the skin, stored as 0
)

// AnomalyClasses are the classes that raise an alert, in the order in which they are reported.
var AnomalyClasses = [...]Class{Bradycardia, Tachycardia, Invalid}

// String returns the name used in tables, logs and the API.
func (c Class) String() string {
	switch c {
	case Normal:
		return "NORMAL"
	case Bradycardia:
		return "BRADYCARDIA"
	case Tachycardia:
		return "TACHYCARDIA"
	default:
		return "INVALID"
	}
}

// Anomaly reports whether readings of the class raise an alert.
func (c Class) Anomaly() bool { return c != Normal }

// Classify decides the class on the rate before any rounding, then gives the nearest integer (half away from zero)
// that lies inside that class. A rate beyond the range of BPM is saturated. The rate is not NaN.
func Classify(rate float64) (Class, BPM) {
	rounded := BPM(min(max(math.Round(rate), math.MinInt32), math.MaxInt32))
	switch {
	case rate <= 0:
		return Invalid, rounded
	case rate < 40:
		return Bradycardia, min(max(rounded, 1), 39)
	case rate <= 180:
		return Normal, rounded
	case rate <= 300:
		return Tachycardia, max(rounded, 181)
	default:
		return Invalid, max(rounded, 301)
	}
}
