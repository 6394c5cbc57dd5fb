package ingest

import (
	"time"

	"heartbeat/internal/pipeline"
)

// SetClaimTimeout makes claims of the store wait for a shorter time than in production.
func (s *Store) SetClaimTimeout(d time.Duration) { s.claimTimeout = d }

// FleetBatch returns a batch of a busy fleet.
func FleetBatch(from, n int64) *pipeline.Batch { return fleetBatch(from, n) }
