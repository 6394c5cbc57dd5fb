// Package httpload sends readings over HTTP: over a number of connections, each with one request at a time, as fast as they are answered
// or at a rate that does not wait for answers.
//
// It refuses to count a reading that was not acknowledged: any answer but 202 ends the run with an error, because a benchmark's figures
// would hide it. Run may be called by one goroutine at a time; it ends its own. It is not on the path of a reading: it loads the path.
package httpload

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"heartbeat/internal/heartbeat"
)

// Load says what is sent.
type Load struct {
	URL         string
	Connections int
	Batch       int           // readings in a request; 1 is sent as an object, more as an array
	PerSecond   float64       // requests; 0: as many as are answered
	Duration    time.Duration // without warmUp
	Customers   int
}

// warmUp is how long connections are opened before latencies count.
const warmUp = 500 * time.Millisecond

// Result is what was acknowledged.
type Result struct {
	Readings  int64
	PerSecond float64         // readings, from the first request to the last answer
	Latencies []time.Duration // of requests, from when each was due to its answer
}

// Run sends until the duration is over and everything under way is answered.
func Run(ctx context.Context, load Load) (Result, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: load.Connections, MaxConnsPerHost: load.Connections, DisableCompression: true}
	defer transport.CloseIdleConnections()
	sender := &sender{load: load, client: &http.Client{Transport: transport}, began: time.Now()}
	group, ctx := errgroup.WithContext(ctx)
	for range load.Connections {
		group.Go(func() error { return sender.run(ctx) })
	}
	err := group.Wait()
	return Result{sender.readings, float64(sender.readings) / time.Since(sender.began).Seconds(), sender.latencies}, err
}

type sender struct {
	load   Load
	client *http.Client
	began  time.Time
	next   atomic.Int64 // number of the next request

	mu        sync.Mutex // guards both below
	readings  int64
	latencies []time.Duration
}

// run sends one request after another. The connections take the requests of one schedule in turn.
func (s *sender) run(ctx context.Context) error {
	var body []byte
	for {
		number := s.next.Add(1) - 1
		due := time.Now()
		if s.load.PerSecond > 0 {
			due = s.began.Add(time.Duration(float64(number) / s.load.PerSecond * float64(time.Second)))
			if err := until(ctx, due); err != nil {
				return err
			}
		}
		if due.Sub(s.began) >= warmUp+s.load.Duration {
			return nil
		}
		body = s.body(body[:0], number, time.Now())
		if err := s.post(ctx, body); err != nil {
			return err
		}
		took := time.Since(due)
		s.mu.Lock()
		s.readings += int64(s.load.Batch)
		if due.Sub(s.began) >= warmUp {
			s.latencies = append(s.latencies, took)
		}
		s.mu.Unlock()
	}
}

func until(ctx context.Context, due time.Time) error {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// body appends the readings of a request: normal ones, of customers in turn.
func (s *sender) body(b []byte, number int64, now time.Time) []byte {
	if s.load.Batch > 1 {
		b = append(b, '[')
	}
	for i := range s.load.Batch {
		if i > 0 {
			b = append(b, ',')
		}
		n := number*int64(s.load.Batch) + int64(i)
		b = heartbeat.Event{Customer: heartbeat.CustomerID(n%int64(s.load.Customers) + 1), Rate: heartbeat.BPM(60 + n%40), Time: now}.AppendJSON(b)
	}
	if s.load.Batch > 1 {
		b = append(b, ']')
	}
	return b
}

func (s *sender) post(ctx context.Context, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.load.URL+"/api/v1/readings", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("send readings: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("send readings: %w", err)
	}
	if response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("send readings: %s: %s", response.Status, answer)
	}
	return nil
}
