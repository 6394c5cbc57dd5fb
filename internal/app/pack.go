package app

import (
	"context"
	"log/slog"
	"time"

	"heartbeat/internal/postgres"
)

const (
	packEvery = time.Minute
	// packAgain is how long packing rests after a failure. On a disk that is nearly full each attempt makes things worse.
	packAgain = 15 * time.Minute
	// packSettled is how long a partition is left in peace when its time is over: most late readings have come by then.
	packSettled = 15 * time.Minute
	// packBelow is how many records may wait for being stored when packing begins: it can wait, and they go first.
	packBelow = 100_000
)

// packIndexes has the indexes of finished partitions rebuilt until the context ends, but not while there are readings to catch up
// on, nor in the first minute, before that is known. A failure costs nothing but space.
func packIndexes(ctx context.Context, pack func(context.Context) error, waiting func() int64, logger *slog.Logger) error {
	for pause := packEvery; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = packEvery
		if waiting() > packBelow {
			continue
		}
		if err := pack(ctx); err != nil && ctx.Err() == nil {
			pause = packAgain
			logger.Warn("indexes not packed, trying again later", "pause", pause, "error", err)
		}
	}
}

// packSettledIndexes rebuilds those of all partitions that are over, and logs each.
func packSettledIndexes(tables *postgres.Tables, logger *slog.Logger) func(context.Context) error {
	tables.Packed = func(done postgres.Packing) {
		logger.Info("index packed", "index", done.Index, "bytes_before", done.Before, "bytes_after", done.After, "took", done.Took)
	}
	return func(ctx context.Context) error {
		now, err := tables.Now(ctx)
		if err != nil {
			return err
		}
		return tables.Pack(ctx, now.Add(-packSettled))
	}
}
