package partition

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Reindexing begins after a minute, skips minutes with a high lag, and pauses after a failure.
func TestReindexingGivesWayToReadings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		minute := func() int { return int(time.Since(began) / time.Minute) }
		var rebuilt []int
		reindex := func(context.Context) error {
			if rebuilt = append(rebuilt, minute()); minute() == 4 {
				return errors.New("the disk is full")
			}
			if len(rebuilt) == 4 {
				cancel()
			}
			return nil
		}
		lag := func() int64 {
			if now := minute(); now == 2 || now == 3 {
				return reindexMaxLag + 1
			}
			return reindexMaxLag
		}
		if err := reindexLoop(ctx, reindex, lag, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int{1, 4, 19, 20}, rebuilt); diff != "" {
			t.Errorf("rebuilt in other minutes (-want +got):\n%s", diff)
		}
	})
}
