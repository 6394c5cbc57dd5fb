package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/kafka"
)

const (
	tallyEvery    = 100         // events between two lines in the log
	tallyInterval = time.Second // at least
)

// tally counts what became of the events and tells of it. The producer calls add for one event at a time; everything
// else happens before the first or after the last.
type tally struct {
	logger *slog.Logger
	topic  string
	ledger *ledger
	stop   context.CancelCauseFunc // ends the sending, when a delivery or the ledger fails

	connected atomic.Bool
	sent      atomic.Int64 // acknowledged
	failed    atomic.Int64
	ledgerErr error

	began  time.Time
	told   time.Time // when the last line was written
	toldOf int64     // the count it told
}

// register shows the counts to a registry if there is one.
func (t *tally) register(registry *prometheus.Registry) {
	if registry == nil {
		return
	}
	registry.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "heartbeat_produced_events_total", Help: "Events that the broker has acknowledged.",
		}, func() float64 { return float64(t.sent.Load()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "heartbeat_delivery_errors_total", Help: "Events that were given up. The first one ends the producer.",
		}, func() float64 { return float64(t.failed.Load()) }),
	)
}

// begin starts the clock: there is a broker that takes events.
func (t *tally) begin(now time.Time) {
	t.began, t.told = now, now
	t.connected.Store(true)
}

// ready returns why nothing can be sent, or nil.
func (t *tally) ready() error {
	switch {
	case !t.connected.Load():
		return errors.New("no broker has answered yet")
	case t.failed.Load() > 0:
		return errors.New("an event could not be delivered: the producer is ending")
	default:
		return nil
	}
}

func (t *tally) add(d kafka.Delivery) {
	if d.Err != nil {
		t.failed.Add(1)
		t.stop(d.Err)
		return
	}
	sent := t.sent.Add(1)
	if t.ledgerErr == nil {
		if t.ledgerErr = t.ledger.write(d); t.ledgerErr != nil {
			t.stop(t.ledgerErr)
		}
	}
	if sent%tallyEvery == 0 {
		t.tell(time.Now())
	}
}

func (t *tally) tell(now time.Time) {
	since := now.Sub(t.told)
	if since < tallyInterval {
		return
	}
	sent := t.sent.Load()
	t.logger.Info("events sent", "sent", sent, "topic", t.topic,
		"per_second", perSecond(sent-t.toldOf, since), "delivery_errors", t.failed.Load())
	t.told, t.toldOf = now, sent
}

// finish closes the ledger and says how it ended, given the producer's own error.
func (t *tally) finish(err error, now time.Time) error {
	sent, failed := t.sent.Load(), t.failed.Load()
	if err != nil {
		err = fmt.Errorf("%w; %d events were acknowledged, %d given up", err, sent, failed)
	}
	if err := errors.Join(err, t.ledgerErr, t.ledger.close()); err != nil {
		return err
	}
	took := now.Sub(t.began)
	t.logger.Info("producer closed cleanly", "sent", sent, "topic", t.topic,
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
