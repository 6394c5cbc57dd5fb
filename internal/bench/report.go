package bench

import (
	"runtime"
	"time"
)

// Report is all that a run has measured. Its JSON is the command's --json.
type Report struct {
	// DrainRatio is what the consumer keeps of the rate at which the database takes the same rows bare, in the order of
	// arrival; DrainRatioSorted is the same against rows sorted as the consumer sorts them.
	DrainRatio       float64 `json:"drain_ratio"`
	DrainRatioSorted float64 `json:"drain_ratio_sorted"`

	// The same by the processor's time that a reading costs on both sides, which other work on the machine disturbs less.
	CPURatio       float64 `json:"drain_cpu_ratio"`
	CPURatioSorted float64 `json:"drain_cpu_ratio_sorted"`

	Ratio        Spread `json:"drain_ratio_rounds"`
	RatioSorted  Spread `json:"drain_ratio_sorted_rounds"`
	Limit        Rate   `json:"limit"`
	LimitSorted  Rate   `json:"limit_sorted"`
	Drain        Rate   `json:"drain"`
	Produce      Rate   `json:"produce"`
	DrainDetails Drain  `json:"drain_details"`

	Steady   []Steady  `json:"steady"`
	Growth   []Growth  `json:"growth"`
	Packed   *Packed   `json:"packed,omitempty"`
	BigFleet *BigFleet `json:"big_fleet,omitempty"`
	Backfill *Backfill `json:"backfill,omitempty"`

	Targets      []Target     `json:"targets"`
	Surroundings Surroundings `json:"surroundings"`
	StartedAt    time.Time    `json:"started_at"`
	Seconds      float64      `json:"seconds"`
}

// Rate is readings a second over all rounds, and what one costs.
type Rate struct {
	PerSecond Spread `json:"per_second"`
	Usage     Usage  `json:"cpu_per_reading"` // median of the rounds
}

// Drain is what the drains cost, as medians of the rounds.
type Drain struct {
	Events             int64   `json:"events"`
	RowsPerTransaction float64 `json:"rows_per_transaction"`
	WALBytes           float64 `json:"wal_bytes_per_reading"`
	TableBytes         float64 `json:"record_bytes"` // of heartbeat_records and its indexes, for each of its rows
	DiskBytes          float64 `json:"disk_bytes_per_reading"`
	ResidentBytes      int64   `json:"consumer_rss_bytes"` // the most of all rounds
}

// Surroundings are what figures depend on besides the program.
type Surroundings struct {
	Processor string            `json:"processor"`
	Cores     int               `json:"cores"`
	Memory    int64             `json:"memory_bytes"`
	System    string            `json:"system"`
	Go        string            `json:"go"`
	Version   string            `json:"version"`
	Postgres  string            `json:"postgres"`
	Settings  map[string]string `json:"postgres_settings"`
	Broker    string            `json:"broker"`
	Customers int               `json:"customers"`
	LoadStart float64           `json:"load_at_start"` // processes that wanted a processor in the minute before
}

func (s *stage) newReport() *Report {
	broker := "the embedded one"
	if len(s.options.Brokers) > 0 {
		broker = "the one given with --brokers"
	}
	return &Report{
		StartedAt: time.Now().UTC().Truncate(time.Second),
		Surroundings: Surroundings{
			Processor: processorName(), Cores: runtime.NumCPU(), Memory: machineMemory(), System: runtime.GOOS + "/" + runtime.GOARCH,
			Go: runtime.Version(), Version: s.options.Version, Postgres: s.facts.Version, Settings: s.facts.Settings,
			Broker: broker, Customers: s.options.Customers, LoadStart: loadAverage(),
		},
	}
}

func (r *Report) finish() {
	r.Targets = r.targets()
	r.Seconds = time.Since(r.StartedAt).Round(time.Second).Seconds()
}

// report fills in what the rounds say.
func (r *rounds) report(report *Report) {
	report.Limit, report.LimitSorted, report.Produce = rateOf(r.arrival), rateOf(r.sorted), rateOf(r.produced)
	var paces []pace
	for i := range r.drained {
		paces = append(paces, r.drained[i].pace)
	}
	report.Drain = rateOf(paces)
	report.Ratio = ratios(report.Drain.PerSecond, report.Limit.PerSecond)
	report.RatioSorted = ratios(report.Drain.PerSecond, report.LimitSorted.PerSecond)
	report.DrainRatio, report.DrainRatioSorted = report.Ratio.Median, report.RatioSorted.Median
	if total := report.Drain.Usage.total(); total > 0 {
		report.CPURatio = report.Limit.Usage.total() / total
		report.CPURatioSorted = report.LimitSorted.Usage.total() / total
	}
	report.DrainDetails = r.details()
}

func (r *rounds) details() Drain {
	median := func(of func(*drained) float64) float64 {
		var values []float64
		for i := range r.drained {
			values = append(values, of(&r.drained[i]))
		}
		return spreadOf(values).Median
	}
	details := Drain{
		Events:             r.events,
		RowsPerTransaction: median(func(d *drained) float64 { return d.rowsPerTransaction }),
		WALBytes:           median(func(d *drained) float64 { return d.walPerReading }),
		TableBytes:         median(func(d *drained) float64 { return d.tablePerReading }),
		DiskBytes:          median(func(d *drained) float64 { return d.diskPerReading }),
	}
	for i := range r.drained {
		details.ResidentBytes = max(details.ResidentBytes, r.drained[i].resident)
	}
	return details
}

func rateOf(paces []pace) Rate {
	median := func(of func(pace) float64) Spread {
		var values []float64
		for _, pace := range paces {
			values = append(values, of(pace))
		}
		return spreadOf(values)
	}
	return Rate{
		PerSecond: median(func(p pace) float64 { return p.perSecond }),
		Usage: Usage{
			Consumer: median(func(p pace) float64 { return p.usage.Consumer }).Median,
			Database: median(func(p pace) float64 { return p.usage.Database }).Median,
			Broker:   median(func(p pace) float64 { return p.usage.Broker }).Median,
			Bench:    median(func(p pace) float64 { return p.usage.Bench }).Median,
			Idle:     median(func(p pace) float64 { return p.usage.Idle }).Median,
		},
	}
}
