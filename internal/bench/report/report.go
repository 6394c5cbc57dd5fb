package report

import (
	"fmt"
	"strings"
	"time"
)

// Report is the result of a run. Its JSON is the command's --json.
type Report struct {
	// DrainRatio is the drain's rate divided by the rate at which bare COPY stores the same rows in the order of arrival;
	// DrainRatioSorted is the same against rows sorted as the consumer sorts them.
	DrainRatio       float64 `json:"drain_ratio"`
	DrainRatioSorted float64 `json:"drain_ratio_sorted"`

	// The same by the processor time of a reading on both sides, which other work on the machine disturbs less.
	CPURatio       float64 `json:"drain_cpu_ratio"`
	CPURatioSorted float64 `json:"drain_cpu_ratio_sorted"`

	Ratio        Spread `json:"drain_ratio_rounds"`
	RatioSorted  Spread `json:"drain_ratio_sorted_rounds"`
	Limit        Rate   `json:"limit"`
	LimitSorted  Rate   `json:"limit_sorted"`
	Drain        Rate   `json:"drain"`
	Produce      Rate   `json:"produce"`
	DrainDetails Drain  `json:"drain_details"`

	Detection *Detection `json:"detection,omitempty"`
	Ingest    *Ingest    `json:"ingest,omitempty"`
	Steady    []Steady   `json:"steady"`
	Growth    []Growth   `json:"growth"`
	Reindexed *Reindexed `json:"reindexed,omitempty"`
	BigFleet  *BigFleet  `json:"big_fleet,omitempty"`
	Backfill  *Backfill  `json:"backfill,omitempty"`

	Targets     []Target    `json:"targets"`
	Environment Environment `json:"environment"`
	StartedAt   time.Time   `json:"started_at"`
	Seconds     float64     `json:"seconds"`

	SlowPacing Pacing `json:"-"` // of steady runs below FastRate
	FastPacing Pacing `json:"-"` // of steady runs from FastRate on
	FastRate   int    `json:"-"` // readings a second
}

// Environment is what figures depend on besides the program.
type Environment struct {
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
	LoadStart float64           `json:"load_at_start"` // load average of the minute before
}

// Lines describe the environment.
func (e Environment) Lines() []string {
	var settings []string
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size"} {
		settings = append(settings, name+"="+e.Settings[name])
	}
	return []string{
		fmt.Sprintf("machine: %d cores of %s shared by everything, %d GiB, %s; load before the run %.1f", e.Cores, e.Processor, e.Memory>>30, e.System, e.LoadStart),
		fmt.Sprintf("PostgreSQL %s (%s); broker: %s; %s customers", e.Postgres, strings.Join(settings, ", "), e.Broker, thousands(float64(e.Customers))),
		fmt.Sprintf("heartbeat %s, %s", e.Version, e.Go),
	}
}

// SetRates derives the ratios from the rates.
func (r *Report) SetRates(drain, limit, limitSorted, produce Rate) {
	r.Drain, r.Limit, r.LimitSorted, r.Produce = drain, limit, limitSorted, produce
	r.Ratio = Ratios(drain.PerSecond, limit.PerSecond)
	r.RatioSorted = Ratios(drain.PerSecond, limitSorted.PerSecond)
	r.DrainRatio, r.DrainRatioSorted = r.Ratio.Median, r.RatioSorted.Median
	if total := drain.Usage.Total(); total > 0 {
		r.CPURatio = limit.Usage.Total() / total
		r.CPURatioSorted = limitSorted.Usage.Total() / total
	}
}

// Finish evaluates the targets at the end of the run.
func (r *Report) Finish() {
	r.Targets = r.targets()
	r.Seconds = time.Since(r.StartedAt).Round(time.Second).Seconds()
}
