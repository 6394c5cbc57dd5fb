package partition

import (
	"context"
	"log/slog"
	"time"

	"heartbeat/internal/backoff"
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
		if backoff.Sleep(ctx, pause) != nil {
			return nil
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

// RunReindex rebuilds the indexes of the partitions that have ended and logs each, once a minute until the context ends. lag is the
// number of records that wait to be stored.
func (m *Maintainer) RunReindex(ctx context.Context, lag func() int64, logger *slog.Logger) error {
	m.OnReindexed = func(done Reindexed) {
		logger.Info("index rebuilt", "index", done.Index, "bytes_before", done.Before, "bytes_after", done.After, "took", done.Took)
	}
	return reindexLoop(ctx, m.reindexEnded, lag, logger)
}

func (m *Maintainer) reindexEnded(ctx context.Context) error {
	now, err := m.Now(ctx)
	if err != nil {
		return err
	}
	return m.Reindex(ctx, now.Add(-reindexSettled))
}
