package report

// Rate is readings a second over all rounds, and the cost of one.
type Rate struct {
	PerSecond Spread `json:"per_second"`
	Usage     Usage  `json:"cpu_per_reading"` // median of the rounds
}

// Drain is the cost of the drains, as medians of the rounds.
type Drain struct {
	Events             int64   `json:"events"`
	RowsPerTransaction float64 `json:"rows_per_transaction"`
	WALBytes           float64 `json:"wal_bytes_per_reading"`
	TableBytes         float64 `json:"record_bytes"` // of heartbeat_records and its indexes, for each of its rows
	DiskBytes          float64 `json:"disk_bytes_per_reading"`
	ResidentBytes      int64   `json:"consumer_rss_bytes"` // maximum of the rounds
}

// Detection compares drains of the same topic with detection and without.
type Detection struct {
	With        Rate   `json:"with"`
	Without     Rate   `json:"without"`
	Ratio       Spread `json:"ratio"`        // With divided by Without, round by round
	AlarmEvents int64  `json:"alarm_events"` // stored by a drain with detection

	// Of live alarms, from the time of the reading that completes the condition.
	Committed Latency `json:"alarm_committed"`
	Shown     Latency `json:"alarm_shown"` // until a viewer of the console has received it
}

// CPURatio is the ratio by the processor time of a reading, which other work on the machine disturbs less.
func (d *Detection) CPURatio() float64 {
	return d.Without.Usage.Total() / max(d.With.Usage.Total(), 1e-9)
}

// IngestPerSecond is how many readings a second over HTTP are wanted.
const IngestPerSecond = 100_000

// Ingest is the speed of heartbeat ingest, with everything on the same cores: the clients, the gateway and the broker. Latencies are of
// requests, until all in-sync replicas have their readings.
type Ingest struct {
	Batch    int `json:"batch"`    // readings in a request of a gateway
	Gateways int `json:"gateways"` // connections
	Devices  int `json:"devices"`  // connections that send single readings

	Most          float64 `json:"most_per_second"` // each gateway sends as fast as it is answered
	MostLatency   Latency `json:"most_latency"`
	Half          float64 `json:"half_per_second"` // half of IngestPerSecond, in an open loop
	HalfLatency   Latency `json:"half_latency"`
	Single        float64 `json:"single_per_second"` // in an open loop
	SingleLatency Latency `json:"single_latency"`
	ResidentBytes int64   `json:"ingest_rss_bytes"` // of heartbeat ingest
}

// Steady is the result at one rate of an open-loop run: the load does not wait for the consumer.
type Steady struct {
	PerSecond          int     `json:"per_second"`
	Seconds            float64 `json:"seconds"`
	KeptUp             bool    `json:"kept_up"`
	Latency            Latency `json:"latency"` // from the event's time to the row being visible
	Sent               Latency `json:"sent"`    // of which until the broker had acknowledged the event
	RowsPerTransaction float64 `json:"rows_per_transaction"`
	MaxLag             int64   `json:"max_lag"` // maximum of readings that were due and not stored
	EndLag             int64   `json:"end_lag"` // the same when the last was due
	Usage              Usage   `json:"cpu_per_reading"`
	WALBytes           float64 `json:"wal_bytes_per_reading"`
	ResidentBytes      int64   `json:"consumer_rss_bytes"`
}

// busyCores is the number of cores in use, by everything that takes part.
func (s Steady) busyCores() float64 { return s.Usage.Total() * float64(s.PerSecond) / 1e6 }

// Growth is the speed of the consumer and the dashboards beyond so many stored rows, one a second and customer, in partitions of
// the width that a fleet of 10,000 has.
type Growth struct {
	Rows            int64       `json:"rows"`     // stored before
	Drain           Rate        `json:"drain"`    // of the readings from there on
	First           Rate        `json:"first"`    // the same at the first level, in a new database; the level itself where it is the first
	OfFirst         Spread      `json:"of_first"` // Drain divided by First, round by round
	BytesPerReading float64     `json:"bytes_per_reading"`
	WALBytes        float64     `json:"wal_bytes_per_reading"`
	Queries         []QueryTime `json:"queries,omitempty"`
}

// Reindexed is the size of the partitions once they are over and their indexes are rebuilt.
type Reindexed struct {
	Rows            int64   `json:"rows"`
	BytesPerReading float64 `json:"bytes_per_reading"`
	Seconds         float64 `json:"seconds"`
}

// QueryTime is how long a dashboard waits for a result.
type QueryTime struct {
	Name   string  `json:"name"`
	Median float64 `json:"median_ms"`
	Max    float64 `json:"max_ms"`
}

// BigFleet is the cost of a drain with many customers.
type BigFleet struct {
	Customers     int     `json:"customers"`
	PerSecond     float64 `json:"drain_per_second"`
	ResidentBytes int64   `json:"consumer_rss_bytes"`
	Usage         Usage   `json:"cpu_per_reading"`
}

// Backfill is the effect of importing a day of history on live readings.
type Backfill struct {
	LivePerSecond int          `json:"live_per_second"`
	Alone         Latency      `json:"live_alone"`       // the better of two runs
	BusyAlone     float64      `json:"busy_cores_alone"` // by everything that live readings take
	Background    Interference `json:"background"`       // the backfill runs with --background
	Foreground    Interference `json:"foreground"`       // the backfill runs without it
}

// NewBackfill compares live readings beside a backfill with the better of the runs without one.
func NewBackfill(perSecond int, alone []Steady, background, foreground Interference) *Backfill {
	best := alone[0]
	for _, s := range alone[1:] {
		if s.Latency.P99 < best.Latency.P99 {
			best = s
		}
	}
	for _, i := range []*Interference{&background, &foreground} {
		i.P99Ratio = i.Live.P99 / best.Latency.P99
	}
	return &Backfill{perSecond, best.Latency, best.busyCores(), background, foreground}
}

// Interference is the speed of live readings and of a backfill that run at the same time.
type Interference struct {
	Live      Latency `json:"live"`
	P99Ratio  float64 `json:"live_p99_ratio"`
	PerSecond float64 `json:"backfill_per_second"`
}

// Pacing is how often a steady run sends and observes. Producer and observer share the processors with what they measure.
type Pacing struct {
	Linger, Observe string
}
