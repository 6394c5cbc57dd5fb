package bench

import "time"

// Usage is the processor's time that each process took for one reading, in microseconds. What cannot be seen from here,
// such as a server on another machine, is 0.
type Usage struct {
	Consumer float64 `json:"consumer_us"`
	Database float64 `json:"postgres_us"`
	Broker   float64 `json:"broker_us"`
	Bench    float64 `json:"bench_us"` // the benchmark itself: as producer, observer or copier
	Idle     float64 `json:"idle_us"`  // what no process on the machine used
}

// total is what one reading cost everybody together.
func (u Usage) total() float64 { return u.Consumer + u.Database + u.Broker + u.Bench }

// spent is the processor's time that each had used at one moment.
type spent struct {
	consumer, database, broker, bench, idle time.Duration
}

func (s spent) since(before spent, readings int64) Usage {
	per := func(now, then time.Duration) float64 {
		if readings == 0 || now < then {
			return 0
		}
		return float64((now - then).Nanoseconds()) / 1000 / float64(readings)
	}
	return Usage{
		Consumer: per(s.consumer, before.consumer), Database: per(s.database, before.database),
		Broker: per(s.broker, before.broker), Bench: per(s.bench, before.bench), Idle: per(s.idle, before.idle),
	}
}

// spent reads the clocks of all processes that are known.
func (s *stage) spent(consumer int) spent {
	return spent{
		consumer: processTime(consumer), database: familyTime(s.postmaster), broker: processTime(s.brokerPid),
		bench: ownTime(), idle: idleTime(),
	}
}
