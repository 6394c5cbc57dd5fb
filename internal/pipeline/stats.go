package pipeline

import (
	"fmt"
	"time"

	"heartbeat/internal/heartbeat"
)

// Stats are cumulative counts since the consumer started.
type Stats struct {
	Valid     int64
	Anomalies int64
	Errors    int64                        // dead letters
	Alerts    [heartbeat.Invalid + 1]int64 // by class; Normal stays 0
}

func (s *Stats) add(batch *Batch) {
	s.Errors += int64(len(batch.DeadLetters))
	for i := range batch.Readings {
		class := batch.Readings[i].Class
		if class.Anomaly() {
			s.Anomalies++
			s.Alerts[class]++
		} else {
			s.Valid++
		}
	}
}

func (s Stats) processed() int64 { return s.Valid + s.Anomalies + s.Errors }

// String is the statistics line of the log.
func (s Stats) String() string {
	return fmt.Sprintf("Stats | valid=%d | anomalies=%d | errors=%d | alerts={BRADYCARDIA: %d, TACHYCARDIA: %d, INVALID: %d}",
		s.Valid, s.Anomalies, s.Errors,
		s.Alerts[heartbeat.Bradycardia], s.Alerts[heartbeat.Tachycardia], s.Alerts[heartbeat.Invalid])
}

const (
	snapshotCount = 100              // a snapshot is due after so many messages,
	snapshotEvery = time.Second      // but not sooner than this after the last
	snapshotLate  = 10 * time.Second // and after this with any message at all
)

// snapshots decides when a statistics snapshot is due.
type snapshots struct {
	taken     time.Time
	processed int64 // by the last snapshot
}

func (s *snapshots) due(stats Stats, now time.Time) bool {
	news := stats.processed() - s.processed
	age := now.Sub(s.taken)
	if age < snapshotEvery || news == 0 || news < snapshotCount && age < snapshotLate {
		return false
	}
	s.taken, s.processed = now, stats.processed()
	return true
}
