package app

import (
	"context"
	"log/slog"
	"time"

	"heartbeat/internal/postgres/partition"
)

const (
	reindexInterval = time.Minute
	// reindexRetry is the pause after a failure. On a disk that is nearly full each attempt makes things worse.
	reindexRetry = 15 * time.Minute
	// reindexSettled is how long a partition must have ended before its indexes are rebuilt: most late readings have arrived by then.
	reindexSettled = 15 * time.Minute
	// reindexMaxLag is the number of records waiting to be stored above which no rebuild begins: readings go first.
	reindexMaxLag = 100_000
)

// reindexLoop calls reindex each minute until the context ends, except while the consumer has to catch up, and not in the first minute,
// in which the lag is unknown. A failure costs disk space only.
func reindexLoop(ctx context.Context, reindex func(context.Context) error, lag func() int64, logger *slog.Logger) error {
	for pause := reindexInterval; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = reindexInterval
		if lag() > reindexMaxLag {
			continue
		}
		if err := reindex(ctx); err != nil && ctx.Err() == nil {
			pause = reindexRetry
			logger.Warn("indexes not rebuilt, trying again later", "pause", pause, "error", err)
		}
	}
}

// reindexSettledPartitions rebuilds the indexes of all partitions that have ended, and logs each.
func reindexSettledPartitions(maintainer *partition.Maintainer, logger *slog.Logger) func(context.Context) error {
	maintainer.OnReindexed = func(done partition.Reindexed) {
		logger.Info("index rebuilt", "index", done.Index, "bytes_before", done.Before, "bytes_after", done.After, "took", done.Took)
	}
	return func(ctx context.Context) error {
		now, err := maintainer.Now(ctx)
		if err != nil {
			return err
		}
		return maintainer.Reindex(ctx, now.Add(-reindexSettled))
	}
}
