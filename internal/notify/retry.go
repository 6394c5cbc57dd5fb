package notify

import (
	"math/rand/v2"
	"time"

	"heartbeat/internal/alarm"
)

var (
	urgentDelays = []time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second}
	otherDelays  = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour}
)

const (
	urgentEvery  = time.Minute
	urgentExpiry = 24 * time.Hour
	jitter       = 0.2
)

// RetryDelay returns how long a message waits after its n-th failed attempt, counted from 1. It is false when the message is given
// up. The delay is longer by up to a fifth at random, so that many messages do not return at the same moment.
func RetryDelay(priority alarm.Priority, attempts int, age time.Duration) (time.Duration, bool) {
	delay := urgentEvery
	switch {
	case priority == alarm.High && age >= urgentExpiry:
		return 0, false
	case priority == alarm.High && attempts <= len(urgentDelays):
		delay = urgentDelays[attempts-1]
	case priority == alarm.High:
	case attempts <= len(otherDelays):
		delay = otherDelays[attempts-1]
	default:
		return 0, false
	}
	return delay + time.Duration(jitter*rand.Float64()*float64(delay)), true
}
