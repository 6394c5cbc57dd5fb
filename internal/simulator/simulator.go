// Package simulator is the role that produces: it sends the readings that package simulate generates to the topic, at the asked rate.
//
// It generates nothing itself and refuses options that make no stream. Run may be called any number of times; its workers end with it.
// Every event is acknowledged by the broker, or Run fails.
//
// It stands at the start of the path of a reading: simulate → simulator → kafka.
package simulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"heartbeat/internal/kafka"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/probeserver"
	"heartbeat/internal/simulate"
)

// Options set up the simulator.
type Options struct {
	Kafka       kafka.Config
	Compression producer.Compression // empty: gzip
	Fleet       simulate.Options     // of every worker; each draws its own sequence from the seed
	Physiology  *PhysiologyOptions   // nil: the seed model, which draws each event independently
	Workers     int                  // 0: one
	Interval    time.Duration        // between two events of a worker, 0: half a second
	Rate        float64              // events a second, of all workers together; 0: as the interval says
	MaxEvents   int64                // end after so many; 0: never
	AckLogPath  string               // file that gets a JSON line for each acknowledged event; empty: none

	MetricsAddress string // for metrics, health and readiness; empty: none
	Registry       *prometheus.Registry
	Logger         *slog.Logger
}

const (
	defaultInterval = 500 * time.Millisecond

	// drainTimeout is how long generated events may take to be acknowledged after the last one.
	drainTimeout = 30 * time.Second
)

// Run sends synthetic events to the topic until the context ends or the requested number is sent, and then waits for
// their acknowledgement. An event that cannot be delivered ends it with an error.
func Run(ctx context.Context, options Options) error {
	options, err := options.complete()
	if err != nil {
		return fmt.Errorf("set up producer: %w", err)
	}
	fleets, err := options.fleets()
	if err != nil {
		return err
	}
	acks, err := openAckLog(options.AckLogPath)
	if err != nil {
		return err
	}
	logger := options.Logger.With("component", "produce")
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stats := &deliveryStats{logger: logger, topic: options.Kafka.Topic, acks: acks, stop: stop}
	stats.register(options.Registry)
	probe, err := options.probe(ctx, logger, stats)
	if err != nil {
		return errors.Join(err, acks.close())
	}
	if options.Registry != nil {
		options.Kafka.Registry = options.Registry
	}
	producer, err := producer.New(ctx, producer.Config{
		Config: options.Kafka, Compression: options.Compression, OnDelivery: stats.add,
	})
	if err != nil {
		stop(nil)
		return errors.Join(err, probe.Wait(), acks.close())
	}
	truth, err := openTruthLog(ctx, options, stop)
	if err != nil {
		stop(nil)
		return errors.Join(err, producer.Close(), probe.Wait(), acks.close())
	}
	stats.begin(time.Now())
	logger.Info("stream started", options.summary()...)

	closed := make(chan struct{})
	go abandonLate(ctx, producer, closed)
	if options.Physiology != nil {
		err = options.streamPopulation(ctx, producer, truth, logger)
	} else {
		options.stream(ctx, producer, fleets)
	}
	stop(nil)
	err = errors.Join(err, producer.Close(), truth.close())
	close(closed)
	return stats.finish(errors.Join(err, probe.Wait()), time.Now())
}

// probe serves metrics and health, if an address is given, until the context ends. It is healthy at once and ready when a
// broker has answered.
func (o Options) probe(ctx context.Context, logger *slog.Logger, stats *deliveryStats) (*errgroup.Group, error) {
	var serving errgroup.Group
	if o.MetricsAddress == "" {
		return &serving, nil
	}
	probe, err := probeserver.Listen(o.MetricsAddress, o.Registry, stats.ready)
	if err != nil {
		return nil, err
	}
	logger.Info("metrics, health and readiness", "address", "http://"+probe.Address())
	serving.Go(func() error {
		err := probe.Run(ctx)
		if err != nil {
			stats.stop(err)
		}
		return err
	})
	return &serving, nil
}

// stream runs the workers until the context ends, a delivery fails, or everything is sent.
func (o Options) stream(ctx context.Context, producer *producer.Producer, fleets []*simulate.Fleet) {
	schedule := schedule{start: time.Now(), perSecond: o.PerSecond()}
	var workers sync.WaitGroup
	for i, fleet := range fleets {
		workers.Go(func() {
			// The workers take the events of one schedule in turn, so that the whole stream is even.
			for n := int64(i); o.MaxEvents == 0 || n < o.MaxEvents; n += int64(len(fleets)) {
				at, err := schedule.await(ctx, n)
				if err != nil {
					return // asked to stop
				}
				if producer.Send(fleet.Next(at)) != nil {
					return // Close says why
				}
			}
		})
	}
	workers.Wait()
}

// abandonLate drops unacknowledged events drainTimeout after the sending has ended, including blocked sends. It returns when
// closed is closed.
func abandonLate(ctx context.Context, producer *producer.Producer, closed <-chan struct{}) {
	<-ctx.Done()
	select {
	case <-closed:
	case <-time.After(drainTimeout):
		producer.Abandon()
	}
}

func (o Options) complete() (Options, error) {
	if o.Workers == 0 {
		o.Workers = 1
	}
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	switch {
	case o.Workers < 0:
		return o, fmt.Errorf("workers %d: want 1 or more", o.Workers)
	case o.Interval < 0:
		return o, fmt.Errorf("generation interval %v: want more than 0", o.Interval)
	case !(o.Rate >= 0): // NaN too
		return o, fmt.Errorf("rate %v: want 0 or more", o.Rate)
	case o.MaxEvents < 0:
		return o, fmt.Errorf("maximum of events %d: want 0 or more", o.MaxEvents)
	case o.Physiology != nil:
		return o, o.population().Validate()
	}
	return o, nil
}

func (o Options) fleets() ([]*simulate.Fleet, error) {
	fleets := make([]*simulate.Fleet, o.Workers)
	for i := range fleets {
		worker := o.Fleet
		worker.Worker, worker.Workers = i, o.Workers
		fleet, err := simulate.New(worker)
		if err != nil {
			return nil, err
		}
		fleets[i] = fleet
	}
	return fleets, nil
}

// PerSecond is the rate of the whole stream.
func (o Options) PerSecond() float64 {
	if o.Rate > 0 {
		return o.Rate
	}
	return float64(o.Workers) / o.Interval.Seconds()
}

// summary is the stream's settings for the log, enough to repeat it.
func (o Options) summary() []any {
	model := "seed"
	if o.Physiology != nil {
		model = "physiological"
	}
	return []any{
		"topic", o.Kafka.Topic, "customers", o.Fleet.Customers, "interval", o.Interval.String(), "events_per_second", o.PerSecond(),
		"workers", o.Workers, "anomaly_rate", o.Fleet.AnomalyRate, "invalid_rate", o.Fleet.InvalidRate, "seed", o.Fleet.Seed, "model", model,
	}
}
