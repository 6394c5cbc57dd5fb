package app

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Packing begins after a minute, leaves out the minutes in which much waits, and rests after a failure.
func TestPackingGivesWayToReadings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		minute := func() int { return int(time.Since(began) / time.Minute) }
		var packed []int
		pack := func(context.Context) error {
			if packed = append(packed, minute()); minute() == 4 {
				return errors.New("the disk is full")
			}
			if len(packed) == 4 {
				cancel()
			}
			return nil
		}
		waiting := func() int64 {
			if now := minute(); now == 2 || now == 3 {
				return packBelow + 1
			}
			return packBelow
		}
		if err := packIndexes(ctx, pack, waiting, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int{1, 4, 19, 20}, packed); diff != "" {
			t.Errorf("packed in other minutes (-want +got):\n%s", diff)
		}
	})
}
