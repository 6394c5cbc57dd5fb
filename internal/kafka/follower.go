package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/backoff"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/repeat"
)

const (
	// followPoll is the most records of one poll: few enough to show them soon, many enough to keep up.
	followPoll = 10_000
	// followQuiet without a record, the follower pings the broker.
	followQuiet = 3 * time.Second
	// followRestart after the last success, the follower replaces its client, which also finds a topic that was deleted and
	// created again.
	followRestart = 10 * time.Second
	followRetry   = time.Second
)

// Follower reads what arrives on the topic from now on, for a live view. It joins no group, commits nothing and starts at
// the end each time, so it does not disturb consumers, and it may miss records.
type Follower struct {
	config      Config
	observe     func([]heartbeat.Reading)
	observeLate func([]heartbeat.Reading)
	log         *slog.Logger

	mu        sync.Mutex // guards all below
	following bool
	since     time.Time
	cause     error
}

// NewFollower returns a follower that hands the valid readings of each poll to observe, and those that arrived late to observeLate, in
// the order of their partition. The slices are reused: neither may keep them.
func NewFollower(config Config, observe, observeLate func([]heartbeat.Reading)) *Follower {
	config = config.withDefaults()
	return &Follower{
		config: config, observe: observe, observeLate: observeLate, log: config.Logger.With("component", "follower"),
		since: time.Now(), cause: errors.New("not connected yet"),
	}
}

// Status reports whether the follower is connected to the topic, since when, and if not, why.
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
		if err := backoff.Sleep(ctx, followRetry); err != nil {
			return err
		}
	}
}

// follow reads with one client until that has failed for followRestart.
func (f *Follower) follow(ctx context.Context) error {
	client, err := f.config.Open("follower",
		kgo.ConsumeTopics(f.config.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.MetadataMaxAge(MetadataAge),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	decoder := liveDecoder{windows: map[int32]*repeat.Window{}}
	var readings, late []heartbeat.Reading
	worked := time.Now()
	for time.Since(worked) < followRestart {
		fetches, err := f.poll(ctx, client)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.set(err); err == nil {
			worked = time.Now()
		} else if err := backoff.Sleep(ctx, followRetry); err != nil {
			return err
		}
		if readings, late = decoder.decode(fetches, readings[:0], late[:0]); len(readings) > 0 {
			f.observe(readings)
		}
		if len(late) > 0 {
			f.observeLate(late)
		}
	}
	_, _, cause := f.Status()
	return cause
}

// poll waits for records. A poll without records pings the broker, because a fetch does not report that it is unreachable.
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

// liveDecoder decodes the records of all partitions.
type liveDecoder struct {
	heartbeat.Decoder
	windows map[int32]*repeat.Window // of the partitions in which records with ids came
}

// repeats reports whether a record repeats one that was seen since the follower began.
func (d *liveDecoder) repeats(partition int32, record *heartbeat.Record) bool {
	if record.ID == nil {
		return false
	}
	window, ok := d.windows[partition]
	if !ok {
		window = new(repeat.Window)
		d.windows[partition] = window
	}
	defer window.Keep()
	return window.Take(repeat.EntryOf(record))
}

// decode appends the valid readings; the consumer stores the invalid records as dead letters. Their times are those used, the
// earlier of event time and Kafka timestamp: a device whose clock is ahead must not hide its next readings.
func (d *liveDecoder) decode(fetches kgo.Fetches, readings, late []heartbeat.Reading) (inTime, tooLate []heartbeat.Reading) {
	for fetched := range fetches.RecordsAll() {
		kafkaTime := RecordTime(fetched.Timestamp.UnixMilli())
		record := heartbeat.Record{Offset: fetched.Offset, Timestamp: kafkaTime, Key: fetched.Key, Value: fetched.Value, ID: RecordID(fetched)}
		if d.repeats(fetched.Partition, &record) {
			continue
		}
		reading, rejection := d.Decode(record)
		if rejection == nil {
			if !kafkaTime.IsZero() && reading.Time.After(kafkaTime) {
				reading.Time = kafkaTime.UTC()
			}
			if !kafkaTime.IsZero() && reading.Time.Before(kafkaTime.Add(-heartbeat.MaxDelay)) {
				late = append(late, reading)
				continue
			}
			readings = append(readings, reading)
		}
	}
	return readings, late
}

// set records the status and logs its changes.
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
