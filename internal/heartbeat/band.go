package heartbeat

// Band divides the normal heart rates for display. It decides nothing.
type Band uint8

// The bands. A rate outside the class Normal has none.
const (
	NoBand   Band = iota
	Low           // 40 to 59 bpm
	Resting       // 60 to 100 bpm
	Elevated      // 101 to 140 bpm
	VeryHigh      // 141 to 180 bpm
)

// BandOf returns the band of a stored heart rate.
func BandOf(rate BPM) Band {
	switch {
	case rate < 40 || rate > 180:
		return NoBand
	case rate < 60:
		return Low
	case rate <= 100:
		return Resting
	case rate <= 140:
		return Elevated
	default:
		return VeryHigh
	}
}

// String returns the words shown to people, empty for NoBand.
func (b Band) String() string {
	switch b {
	case Low:
		return "low"
	case Resting:
		return "resting"
	case Elevated:
		return "elevated"
	case VeryHigh:
		return "very high"
	default:
		return ""
	}
}
