package live

import "heartbeat/internal/heartbeat"

// keptSeconds is how far back Seconds reaches.
const keptSeconds = 15 * 60

// Second sums up the readings whose own time lies in one second.
type Second struct {
	Unix    int64
	Classes [heartbeat.Invalid + 1]int64 // readings by class
	Sum     int64                        // of the normal rates
	Min     heartbeat.BPM                // of the normal rates
	Max     heartbeat.BPM
	Delay   int64 // sum of the times from event to arrival, microseconds
	Slowest int64 // the longest of them
}

// timeline keeps a Second for each of the last keptSeconds. A reading older than that is not kept.
type timeline struct {
	seconds [keptSeconds]Second
}

func (l *timeline) add(reading heartbeat.Reading, now int64) {
	at := reading.Time.UnixMicro()
	unix := reading.Time.Unix()
	s := &l.seconds[(unix%keptSeconds+keptSeconds)%keptSeconds]
	if unix < s.Unix || unix > now/1e6+1 {
		return
	}
	if unix > s.Unix {
		*s = Second{Unix: unix}
	}
	s.Classes[reading.Class]++
	delay := max(now-at, 0)
	s.Delay += delay
	s.Slowest = max(s.Slowest, delay)
	if reading.Class != heartbeat.Normal {
		return
	}
	if s.Classes[heartbeat.Normal] == 1 {
		s.Min = reading.BPM
	}
	s.Sum += int64(reading.BPM)
	s.Min, s.Max = min(s.Min, reading.BPM), max(s.Max, reading.BPM)
}

// since returns the seconds from unix on that had a reading, oldest first.
func (l *timeline) since(unix, now int64) []Second {
	unix = max(unix, now-keptSeconds+1)
	var seconds []Second
	for at := unix; at <= now; at++ {
		if s := l.seconds[at%keptSeconds]; s.Unix == at {
			seconds = append(seconds, s)
		}
	}
	return seconds
}
