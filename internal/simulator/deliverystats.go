package simulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/kafka/producer"
)

const (
	statsEvents   = 100         // events between two lines in the log,
	statsInterval = time.Second // and at least this time
)

// deliveryStats counts the outcomes of the events and logs them. The producer calls add for one event at a time; the
// other methods are called before the first event or after the last.
type deliveryStats struct {
	logger *slog.Logger
	topic  string
	acks   *ackLog
	stop   context.CancelCauseFunc // ends the sending when a delivery or the ack log fails

	connected atomic.Bool
	sent      atomic.Int64 // acknowledged
	failed    atomic.Int64
	acksErr   error

	began      time.Time
	logged     time.Time // when the last line was logged
	loggedSent int64     // the count in it
}

// register adds the counts to a registry if there is one.
func (s *deliveryStats) register(registry *prometheus.Registry) {
	if registry == nil {
		return
	}
	registry.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "heartbeat_produced_events_total", Help: "Events that the broker has acknowledged.",
		}, func() float64 { return float64(s.sent.Load()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "heartbeat_delivery_errors_total", Help: "Events that were given up. The first one ends the producer.",
		}, func() float64 { return float64(s.failed.Load()) }),
	)
}

// begin starts the clock: the producer is connected.
func (s *deliveryStats) begin(now time.Time) {
	s.began, s.logged = now, now
	s.connected.Store(true)
}

// ready returns why nothing can be sent, or nil.
func (s *deliveryStats) ready() error {
	switch {
	case !s.connected.Load():
		return errors.New("no broker has answered yet")
	case s.failed.Load() > 0:
		return errors.New("an event could not be delivered: the producer is ending")
	default:
		return nil
	}
}

func (s *deliveryStats) add(d producer.Delivery) {
	if d.Err != nil {
		s.failed.Add(1)
		s.stop(d.Err)
		return
	}
	sent := s.sent.Add(1)
	if s.acksErr == nil {
		if s.acksErr = s.acks.write(d); s.acksErr != nil {
			s.stop(s.acksErr)
		}
	}
	if sent%statsEvents == 0 {
		s.log(time.Now())
	}
}

func (s *deliveryStats) log(now time.Time) {
	since := now.Sub(s.logged)
	if since < statsInterval {
		return
	}
	sent := s.sent.Load()
	s.logger.Info("events sent", "sent", sent, "topic", s.topic,
		"per_second", perSecond(sent-s.loggedSent, since), "delivery_errors", s.failed.Load())
	s.logged, s.loggedSent = now, sent
}

// finish closes the ack log and returns or logs the result, given the producer's own error.
func (s *deliveryStats) finish(err error, now time.Time) error {
	sent, failed := s.sent.Load(), s.failed.Load()
	if err != nil {
		err = fmt.Errorf("%w; %d events were acknowledged, %d given up", err, sent, failed)
	}
	if err := errors.Join(err, s.acksErr, s.acks.close()); err != nil {
		return err
	}
	took := now.Sub(s.began)
	s.logger.Info("producer closed cleanly", "sent", sent, "topic", s.topic,
		"seconds", took.Round(time.Millisecond).Seconds(), "per_second", perSecond(sent, took), "delivery_errors", failed)
	return nil
}

// perSecond is a rate to one decimal.
func perSecond(count int64, over time.Duration) float64 {
	if over <= 0 {
		return 0
	}
	return float64(int64(float64(count)/over.Seconds()*10+0.5)) / 10
}
