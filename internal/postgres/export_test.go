package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/pipeline"
)

// SetPatience makes claims of the store wait shorter than they would for a person.
func (s *Store) SetPatience(d time.Duration) { s.patience = d }

// SetPackAbove has Pack take smaller indexes than are worth its while.
func (t *Tables) SetPackAbove(bytes int64) { t.packAbove = bytes }

// PackLock is the key of the lock of who packs.
const PackLock = int64(packLock)

// Create adds a partition to heartbeat_records, as a process does that found it missing.
func (t *Tables) Create(ctx context.Context, from, to time.Time) error {
	return t.create(ctx, partitionedTables[0], span{from, to})
}

// RegularName names the partition of heartbeat_records from one time to another.
func RegularName(from, to time.Time) string { return partitionedTables[0].regular(span{from, to}) }

// Missing returns the bounds of the partitions to add after end.
func Missing(end, now time.Time, step time.Duration) [][2]time.Time {
	var bounds [][2]time.Time
	for _, span := range missing(end, now, step) {
		bounds = append(bounds, [2]time.Time{span.from, span.to})
	}
	return bounds
}

// FleetBatch returns a batch of a busy fleet.
func FleetBatch(from, n int64) *pipeline.Batch { return fleetBatch(from, n) }

// CopyBare stores the rows of a batch and nothing else, each table in a transaction of its own.
func CopyBare(ctx context.Context, conn *pgx.Conn, batch *pipeline.Batch, sorted bool) error {
	load := newPayload()
	load.encode("heartbeat-events", 0, batch)
	if !sorted {
		slices.SortFunc(load.normal, func(a, b uint64) int { return cmp.Compare(uint32(a), uint32(b)) })
		load.encodeRecords(batch.Readings)
	}
	return load.copyRows(ctx, conn)
}

// Hour is one hour's partition and its size.
type Hour struct {
	From  time.Time
	Width time.Duration
	Bytes int64
}

// NextWidth returns how wide the next partition of an hourly table will be.
func NextWidth(now time.Time, regular []Hour) time.Duration {
	state := partitions{now: now}
	for _, hour := range regular {
		state.regular = append(state.regular, partition{span: span{hour.From, hour.From.Add(hour.Width)}, bytes: hour.Bytes})
	}
	return state.step(partitionedTables[0])
}
