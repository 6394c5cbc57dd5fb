package report

// Usage is the processor time of each process for one reading, in microseconds. It is 0 for a server on another machine.
type Usage struct {
	Consumer float64 `json:"consumer_us"`
	Database float64 `json:"postgres_us"`
	Broker   float64 `json:"broker_us"`
	Bench    float64 `json:"bench_us"` // the benchmark itself: as producer, observer or copier
	Idle     float64 `json:"idle_us"`  // unused by any process on the machine
}

// Total is the cost of one reading in all processes.
func (u Usage) Total() float64 { return u.Consumer + u.Database + u.Broker + u.Bench }
