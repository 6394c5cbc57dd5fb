package live

import "heartbeat/internal/heartbeat"

// State is what a cell of the wall says about one customer: a display band of a normal reading, an anomaly class,
// or silence.
type State uint8

// The states. Never is a customer of whom no reading is known.
const (
	Never State = iota
	Resting
	Low
	Elevated
	VeryHigh
	Invalid
	Silent
	Bradycardia
	Tachycardia
	stateCount
)

// States lists every state in ascending order of urgency.
var States = [stateCount]State{Never, Resting, Low, Elevated, VeryHigh, Invalid, Silent, Bradycardia, Tachycardia}

// StateOf returns the state of a stored rate. The stored integer always lies inside its class, so it decides alone.
func StateOf(bpm heartbeat.BPM) State {
	switch heartbeat.BandOf(bpm) {
	case heartbeat.Low:
		return Low
	case heartbeat.Resting:
		return Resting
	case heartbeat.Elevated:
		return Elevated
	case heartbeat.VeryHigh:
		return VeryHigh
	}
	switch class, _ := heartbeat.Classify(float64(bpm)); class {
	case heartbeat.Bradycardia:
		return Bradycardia
	case heartbeat.Tachycardia:
		return Tachycardia
	default:
		return Invalid
	}
}

// String returns the state's name in the API.
func (s State) String() string {
	switch s {
	case Never:
		return "never_seen"
	case Resting:
		return "resting"
	case Low:
		return "low"
	case Elevated:
		return "elevated"
	case VeryHigh:
		return "very_high"
	case Invalid:
		return "invalid"
	case Silent:
		return "silent"
	case Bradycardia:
		return "bradycardia"
	default:
		return "tachycardia"
	}
}

// ParseState returns the state of that name.
func ParseState(name string) (State, bool) {
	for _, s := range States {
		if s.String() == name {
			return s, true
		}
	}
	return Never, false
}
