package bench

import (
	"log/slog"
	"time"

	"heartbeat/internal/postgres"
)

// Options select what to measure, and the servers.
type Options struct {
	Brokers   []string         // empty: the embedded broker
	Database  postgres.Options // neither URL nor host: a private server
	Dir       string           // for scratch data and private servers; empty: the system's temporary directory
	Binary    string           // the heartbeat whose roles are run
	Version   string           // of that heartbeat
	Full      bool             // measure everything, beyond a minute
	Only      []string         // sections to measure; empty: all
	Customers int              // of the fleet
	Plan      *Plan            // nil: as Full says
	Progress  func(string)     // receives what is being measured; may be nil
	Logger    *slog.Logger
}

// Plan is the extent of the measurements.
type Plan struct {
	Rounds       int // of limit, drain and produce
	Events       int64
	Detection    int     // rounds of drains with detection and without; 0: none
	Ingest       float64 // seconds of each load over HTTP; 0: none
	Rates        []int   // readings a second; with Saturate, higher ones follow until the consumer falls behind
	Saturate     bool
	Seconds      float64 // at each rate
	Levels       []int64 // rows, ascending
	Measured     int64   // rows that are timed at each level
	BigFleet     int     // customers of a second drain that measures memory; 0: none
	BigEvents    int64
	BackfillRate int           // of live readings beside a backfill; 0: none
	Backfill     int64         // readings of the day before
	Limit        time.Duration // begins no further round after this time; 0: no limit
}

func (o Options) plan() Plan {
	switch {
	case o.Plan != nil:
		return *o.Plan
	case o.Full:
		return Plan{
			Rounds: 3, Events: 4_000_000, Detection: 5, Ingest: 15, Rates: []int{1_000, 10_000, 50_000, 100_000}, Saturate: true, Seconds: 15,
			Levels: []int64{1_000_000, 5_000_000, 20_000_000, 50_000_000}, Measured: 3_000_000,
			BigFleet: 1_000_000, BigEvents: 4_000_000, BackfillRate: 10_000, Backfill: 3_000_000,
		}
	default:
		return Plan{
			Rounds: 3, Events: 800_000, Detection: 3, Ingest: 3, Rates: []int{1_000, 10_000}, Seconds: 3,
			Levels: []int64{0}, Measured: 1_000_000, Limit: 18 * time.Second,
		}
	}
}
