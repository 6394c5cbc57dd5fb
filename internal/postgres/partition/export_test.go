package partition

import (
	"context"
	"time"
)

// SetReindexAbove makes Reindex rebuild smaller indexes than in production.
func (m *Maintainer) SetReindexAbove(bytes int64) { m.reindexAbove = bytes }

// ReindexLock is the key of the advisory lock of Reindex.
const ReindexLock = int64(reindexLock)

// Create adds a partition to heartbeat_records, as a process does that finds it missing.
func (m *Maintainer) Create(ctx context.Context, from, to time.Time) error {
	return m.create(ctx, tables[0], span{from, to})
}

// RegularName names the partition of heartbeat_records for a span.
func RegularName(from, to time.Time) string { return tables[0].regular(span{from, to}) }

// Missing returns the bounds of the partitions to add after end.
func Missing(end, now time.Time, step time.Duration) [][2]time.Time {
	var bounds [][2]time.Time
	for _, span := range missing(end, now, step) {
		bounds = append(bounds, [2]time.Time{span.from, span.to})
	}
	return bounds
}

// Hour is one hour's partition and its size.
type Hour struct {
	From  time.Time
	Width time.Duration
	Bytes int64
}

// NextWidth returns the width of the next partition of an hourly table.
func NextWidth(now time.Time, regular []Hour) time.Duration {
	state := partitions{now: now}
	for _, hour := range regular {
		state.regular = append(state.regular, timePartition{span: span{hour.From, hour.From.Add(hour.Width)}, bytes: hour.Bytes})
	}
	return state.step(tables[0])
}
