package bench

import (
	"time"

	"heartbeat/internal/bench/procstat"
	"heartbeat/internal/bench/report"
)

// processorTime is the processor time that each process had used at one moment.
type processorTime struct {
	consumer, database, broker, bench, idle time.Duration
}

// processorTime reads the clocks of all known processes. The consumer is 0 where none runs.
func (e *environment) processorTime(consumer int) processorTime {
	return processorTime{
		consumer: procstat.ProcessTime(consumer), database: procstat.FamilyTime(e.postmaster), broker: procstat.ProcessTime(e.brokerPid),
		bench: procstat.OwnTime(), idle: procstat.IdleTime(),
	}
}

// since returns the processor time of one reading of so many.
func (t processorTime) since(before processorTime, readings int64) report.Usage {
	per := func(now, then time.Duration) float64 {
		if readings == 0 || now < then {
			return 0
		}
		return float64((now - then).Nanoseconds()) / 1000 / float64(readings)
	}
	return report.Usage{
		Consumer: per(t.consumer, before.consumer), Database: per(t.database, before.database),
		Broker: per(t.broker, before.broker), Bench: per(t.bench, before.bench), Idle: per(t.idle, before.idle),
	}
}
