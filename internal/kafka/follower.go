package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/heartbeat"
)

const (
	// followPoll is how many records one poll hands on at most: few enough to show them soon, many enough to keep up.
	followPoll = 10_000
	// followQuiet without a record makes the follower ask whether the broker is still there.
	followQuiet = 3 * time.Second
	// followRestart is how long errors may go on before the follower starts over with a new client, which also finds a
	// topic that was deleted and created anew.
	followRestart = 10 * time.Second
	followRetry   = time.Second
)

// Follower reads what arrives on the topic from now on, for a live view. It joins no group, commits nothing and starts at the
// end each time, so it neither disturbs consumers nor promises to see every record.
type Follower struct {
	config  Config
	observe func([]heartbeat.Reading)
	log     *slog.Logger

	mu        sync.Mutex // guards the three below
	following bool
	since     time.Time
	cause     error
}

// NewFollower returns a follower that hands the valid readings of each poll to observe, in the order of their
// partition. The slice is reused: observe must not keep it.
func NewFollower(config Config, observe func([]heartbeat.Reading)) *Follower {
	config = config.withDefaults()
	return &Follower{
		config: config, observe: observe, log: config.Logger.With("component", "follower"),
		since: time.Now(), cause: errors.New("not connected yet"),
	}
}

// Status tells whether records arrive or would arrive, since when, and if not, why.
func (f *Follower) Status() (following bool, since time.Time, cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.following, f.since, f.cause
}

// Run follows until the context ends. An outage is waited out.
func (f *Follower) Run(ctx context.Context) error {
	for {
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.set(err)
		if err := sleep(ctx, followRetry); err != nil {
			return err
		}
	}
}

// follow reads with one client until that has not worked for a while.
func (f *Follower) follow(ctx context.Context) error {
	client, err := f.config.client(
		kgo.ConsumeTopics(f.config.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.MetadataMaxAge(metadataAge),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	var decoder heartbeat.Decoder
	var readings []heartbeat.Reading
	worked := time.Now()
	for time.Since(worked) < followRestart {
		fetches, err := f.poll(ctx, client)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.set(err); err == nil {
			worked = time.Now()
		} else if err := sleep(ctx, followRetry); err != nil {
			return err
		}
		if readings = decode(&decoder, fetches, readings[:0]); len(readings) > 0 {
			f.observe(readings)
		}
	}
	_, _, cause := f.Status()
	return cause
}

// poll waits for records. A poll that ends without any asks the broker whether it is there at all.
func (f *Follower) poll(ctx context.Context, client *kgo.Client) (kgo.Fetches, error) {
	quiet, cancel := context.WithTimeout(ctx, followQuiet)
	defer cancel()
	fetches := client.PollRecords(quiet, followPoll)
	err := fetches.Err()
	if err == nil || !errors.Is(err, context.DeadlineExceeded) || quiet.Err() == nil {
		return fetches, err
	}
	ping, cancel := context.WithTimeout(ctx, followQuiet)
	defer cancel()
	if err := client.Ping(ping); err != nil {
		return fetches, fmt.Errorf("reach broker at %s: %w", f.config.address(), err)
	}
	return fetches, nil
}

// decode appends the valid readings. What is invalid is the consumer's to keep.
func decode(decoder *heartbeat.Decoder, fetches kgo.Fetches, readings []heartbeat.Reading) []heartbeat.Reading {
	for record := range fetches.RecordsAll() {
		reading, rejection := decoder.Decode(heartbeat.Record{
			Offset: record.Offset, Timestamp: record.Timestamp, Key: record.Key, Value: record.Value,
		})
		if rejection == nil {
			readings = append(readings, reading)
		}
	}
	return readings
}

// set notes how it goes and logs where that changes.
func (f *Follower) set(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := f.following != (cause == nil)
	f.cause = cause
	if !changed {
		return
	}
	f.following, f.since = cause == nil, time.Now()
	if cause == nil {
		f.log.Info("following the topic", "topic", f.config.Topic)
	} else {
		f.log.Warn("not following the topic, trying again", "topic", f.config.Topic, "cause", cause)
	}
}
