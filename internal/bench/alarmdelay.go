package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"heartbeat/internal/bench/report"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/process"
)

const (
	delayed      = 100 // customers whose alarms are timed
	delayBefore  = 14  // seconds beyond the limit that are dated back, so that the rest is soon over
	delayLive    = 8   // seconds that are sent when they are due
	delayPoll    = 2 * time.Millisecond
	delayTimeout = time.Minute
)

// measureAlarmDelay times alarms of a running consumer, from the reading that completes the condition until the alarm is committed and
// until a viewer of the console receives it.
func (r *run) measureAlarmDelay(ctx context.Context, result *report.Detection) (err error) {
	db, err := r.database(ctx)
	if err != nil {
		return err
	}
	defer db.drop()
	t, err := r.topic(ctx)
	if err != nil {
		return err
	}
	consumer, err := db.consume(t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, consumer.Stop(context.Background(), stopTime, syscall.SIGTERM)) }()
	url, console, err := db.serve(ctx, t, "serve")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, console.Stop(context.Background(), stopTime, syscall.SIGTERM)) }()
	if err := db.awaitClaims(ctx, t, consumer); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, delayTimeout)
	defer cancel()
	began := time.Now()
	var committed, shown []time.Duration
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.sendBeyondLimit(groupCtx, t, began) })
	group.Go(func() (err error) {
		committed, err = db.timeCommits(groupCtx, began)
		return err
	})
	group.Go(func() (err error) {
		shown, err = timeStream(groupCtx, url, began)
		return err
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("time %d alarms: %w", delayed, err)
	}
	result.Committed, result.Shown = report.NewLatency(committed), report.NewLatency(shown)
	return nil
}

// sendBeyondLimit sends each customer's readings, one a second, of which the first ones are dated back.
func (r *run) sendBeyondLimit(ctx context.Context, t *topic, began time.Time) error {
	sender, err := producer.New(ctx, producer.Config{Config: r.kafka(t.name), Linger: pacingAt(0).linger})
	if err != nil {
		return err
	}
	ticker := time.NewTicker(sendEvery)
	defer ticker.Stop()
	for n := 0; n < delayed*(delayBefore+delayLive); {
		due := began.Add(time.Duration(n)*time.Second/delayed - delayBefore*time.Second)
		if time.Now().Before(due) {
			select {
			case <-ctx.Done():
				sender.Abandon()
				return errors.Join(ctx.Err(), sender.Close())
			case <-ticker.C:
			}
			continue
		}
		if sender.Send(heartbeat.Event{Customer: heartbeat.CustomerID(n%delayed + 1), Rate: 195, Time: due}) != nil {
			break // Close returns the error
		}
		n++
	}
	return sender.Close()
}

// timeCommits polls for alarms until all are stored. Those raised by a reading that was dated back do not count.
func (d *database) timeCommits(ctx context.Context, began time.Time) (delays []time.Duration, err error) {
	seen := map[string]bool{}
	ticker := time.NewTicker(delayPoll)
	defer ticker.Stop()
	for len(seen) < delayed {
		raised, err := d.probe.AlarmsRaised(ctx)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		for subject, at := range raised {
			if !seen[subject] && at.After(began) {
				delays = append(delays, now.Sub(at))
			}
			seen[subject] = true
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d are stored: %w", len(seen), ctx.Err())
		case <-ticker.C:
		}
	}
	return delays, nil
}

var roleAddress = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)

// serve runs a role with an HTTP server, whose address is in its log.
func (d *database) serve(ctx context.Context, topic *topic, role string, options ...string) (url string, server *process.Process, err error) {
	address := make(chan string, 1)
	server, err = process.Start(process.Command{
		Path: d.environment.options.Binary, Args: append([]string{role, "--listen", "127.0.0.1:0"}, options...), Dir: d.environment.dir, DeathSignal: syscall.SIGTERM,
		Env: append(os.Environ(), "KAFKA_BOOTSTRAP_SERVERS="+strings.Join(d.environment.brokers, ","), "KAFKA_TOPIC="+topic.name, "DATABASE_URL="+d.url),
		Output: func(line string) {
			if found := roleAddress.FindString(line); found != "" {
				select {
				case address <- found:
				default:
				}
			}
		},
	})
	if err != nil {
		return "", nil, err
	}
	select {
	case url = <-address:
		return url, server, nil
	case <-server.Done():
		return "", nil, server.Err()
	case <-ctx.Done():
		return "", nil, errors.Join(ctx.Err(), server.Stop(context.Background(), stopTime, syscall.SIGTERM))
	}
}

// timeStream reads the console's stream until all alarms were in it.
func timeStream(ctx context.Context, url string, began time.Time) (delays []time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/stream", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the console's stream: %s", response.Status)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	seen := map[string]bool{}
	alarms := false
	for len(seen) < delayed && lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			alarms = name == "alarms"
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || !alarms {
			continue
		}
		var change struct {
			Open []struct {
				Subject string    `json:"subject"`
				At      time.Time `json:"raised_at"`
			} `json:"open"`
		}
		if err := json.Unmarshal([]byte(data), &change); err != nil {
			return nil, fmt.Errorf("read the console's stream: %w", err)
		}
		now := time.Now()
		for _, open := range change.Open {
			if !seen[open.Subject] && open.At.After(began) {
				delays = append(delays, now.Sub(open.At))
			}
			seen[open.Subject] = true
		}
	}
	if len(seen) < delayed {
		return nil, fmt.Errorf("%d are in the console's stream: %w", len(seen), errors.Join(lines.Err(), ctx.Err()))
	}
	return delays, nil
}
