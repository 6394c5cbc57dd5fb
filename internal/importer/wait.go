package importer

import (
	"context"
	"fmt"
	"time"

	"heartbeat/internal/backoff"
	"heartbeat/internal/progress"
)

// Topic tells what the brokers hold, replicated or not: a killed import may have sent it. *kafka.Client implements it.
type Topic interface {
	WrittenTopic(ctx context.Context) (*progress.Topic, error)
}

const (
	waitEvery = 200 * time.Millisecond
	// stalledAfter is how long consumers may store nothing: longer than a restart with a rebalance takes.
	stalledAfter = time.Minute
)

// awaitStored waits until consumers have stored everything that the topic holds now.
func (r *run) awaitStored(ctx context.Context, what string) error {
	target, err := r.options.Topic.WrittenTopic(ctx)
	if err != nil {
		return err
	}
	lag, err := r.lag(ctx, target)
	if err != nil || lag == 0 {
		return err
	}
	r.step("waiting until "+what, lag)
	for least, moved := lag, time.Now(); lag > 0; {
		if err := backoff.Sleep(ctx, waitEvery); err != nil {
			return err
		}
		if lag, err = r.lag(ctx, target); err != nil {
			return err
		}
		if lag < least {
			r.done.Add(least - lag)
			least, moved = lag, time.Now()
		}
		if time.Since(moved) > stalledAfter {
			return fmt.Errorf("waited until %s: %d records of topic %s are not stored, and no consumer has stored one for %v; start heartbeat consume and run the import again",
				what, lag, target.Name, stalledAfter)
		}
	}
	return nil
}

func (r *run) lag(ctx context.Context, target *progress.Topic) (int64, error) {
	rows, err := r.listProgress(ctx)
	if err != nil {
		return 0, err
	}
	lag, _ := progress.Lag(progress.Compare(target, rows))
	return lag, nil
}
