package simulate

import (
	"math/rand/v2"

	"heartbeat/internal/heartbeat"
)

// injection draws single artefacts: sensor faults and, among all other readings, cardiac anomalies.
type injection struct {
	anomalyRate, invalidRate float64
	random                   *rand.Rand
}

// draw returns an injected rate, or false for a reading that stays as it is.
func (i *injection) draw() (heartbeat.BPM, bool) {
	switch {
	case i.random.Float64() < i.invalidRate:
		return i.sensorFault(), true
	case i.random.Float64() < i.anomalyRate:
		return i.anomaly(), true
	default:
		return 0, false
	}
}

// sensorFault draws one of the values that broken and disconnected sensors send, all with the same probability.
func (i *injection) sensorFault() heartbeat.BPM {
	return [...]heartbeat.BPM{-1, 0, 301, 400}[i.random.IntN(4)]
}

// anomaly draws a heart that is too slow or one that is too fast, with the same probability.
func (i *injection) anomaly() heartbeat.BPM {
	if i.random.IntN(2) == 0 {
		return i.uniform(15, 39)
	}
	return i.uniform(181, 220)
}

func (i *injection) uniform(least, most heartbeat.BPM) heartbeat.BPM {
	return least + heartbeat.BPM(i.random.IntN(int(most-least)+1))
}
