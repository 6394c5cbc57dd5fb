package simulator

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"heartbeat/internal/backoff"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/simulate"
)

// PhysiologyOptions set up the physiological model.
type PhysiologyOptions struct {
	Episodes   simulate.Rates
	Zone       *time.Location // whose day everybody lives by; nil: days are spread evenly
	TruthPath  string         // file that gets a JSON line for each episode; empty: none
	TruthTopic string         // topic that gets the same lines; empty: none
}

// population are the options of the customers of the physiological model, who begin now. They share the readings evenly,
// so that each reports at a steady interval.
func (o Options) population() simulate.PopulationOptions {
	return simulate.PopulationOptions{
		Customers: o.Fleet.Customers, AnomalyRate: o.Fleet.AnomalyRate, InvalidRate: o.Fleet.InvalidRate, Seed: o.Fleet.Seed,
		Interval: CustomerInterval(o.Fleet.Customers, o.PerSecond()),
		Start:    time.Now(), Zone: o.Physiology.Zone, Episodes: o.Physiology.Episodes,
	}
}

// CustomerInterval is the time between two readings of a customer when all customers share so many readings a second.
func CustomerInterval(customers int, perSecond float64) time.Duration {
	seconds := float64(customers) / perSecond
	return time.Duration(min(seconds*float64(time.Second), math.MaxInt64/2)) // beyond every limit, within the type
}

// populationStream sends the readings of a population when they are due.
type populationStream struct {
	maxEvents int64
	clock     *simulatedClock
	truth     *truthLog
	queues    []chan simulate.Reading // one per worker; a customer's readings always go to the same one
}

// streamPopulation runs the workers until the context ends, a delivery fails, or everything is sent.
func (o Options) streamPopulation(ctx context.Context, sender *producer.Producer, truth *truthLog, logger *slog.Logger) error {
	s := &populationStream{maxEvents: o.MaxEvents, clock: &simulatedClock{logger: logger}, truth: truth}
	options := o.population()
	options.Truth = s.addTruth
	population, err := simulate.NewPopulation(options)
	if err != nil {
		return err
	}
	var workers sync.WaitGroup
	for range o.Workers {
		queue := make(chan simulate.Reading, workerQueue)
		s.queues = append(s.queues, queue)
		workers.Go(func() {
			for reading := range queue {
				_ = sender.SendAt(reading.Event, reading.Sent) // a failed delivery ends ctx; Close says why
			}
		})
	}
	s.run(ctx, population)
	for _, queue := range s.queues {
		close(queue)
	}
	workers.Wait()
	return nil
}

// workerQueue is how many readings wait for a worker, so that generating and encoding overlap.
const workerQueue = 256

// run takes the readings in order until the context ends or everything is sent. What is queued is always sent.
func (s *populationStream) run(ctx context.Context, population *simulate.Population) {
	sent := int64(0)
	for reading := range population.Readings() {
		shift, err := s.clock.await(ctx, reading.Sent)
		if err != nil {
			return
		}
		reading.Time, reading.Sent = reading.Time.Add(shift), reading.Sent.Add(shift)
		select {
		case s.queues[int(reading.Customer)%len(s.queues)] <- reading:
		case <-ctx.Done():
			return
		}
		if sent++; sent == s.maxEvents {
			return
		}
	}
}

func (s *populationStream) addTruth(episode simulate.Episode) {
	episode.Onset, episode.End = episode.Onset.Add(s.clock.shift), episode.End.Add(s.clock.shift)
	if !episode.Crossing.IsZero() {
		episode.Crossing = episode.Crossing.Add(s.clock.shift)
	}
	s.truth.add(episode)
}

// simulatedClock maps simulated times to the machine's clock. Readings carry simulated times, so both must stay together:
// when sending falls far behind, the machine slept or its clock was set, simulated time moves instead of the readings
// becoming late.
type simulatedClock struct {
	logger *slog.Logger
	shift  time.Duration // from simulated time to the machine's
	last   time.Time     // the simulated time that was awaited last
}

// clockTolerance is how far simulated time may be off before it moves: well below the age at which a reading counts as late.
const clockTolerance = 30 * time.Second

// await waits until a simulated time has come and returns the shift to the machine's time, or the error of a context that
// has ended. Times must not decrease.
func (c *simulatedClock) await(ctx context.Context, at time.Time) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	now := time.Now().Round(0) // the wall clock, which is what readings carry
	most := clockTolerance
	if !c.last.IsZero() {
		most += at.Sub(c.last)
	}
	wait := at.Add(c.shift).Sub(now)
	if wait < -clockTolerance || !c.last.IsZero() && wait > most {
		c.shift -= wait
		c.logger.Warn("simulated time moved to the machine's: sending fell behind, or the clock was set", "by", -wait)
		wait = 0
	}
	c.last = at
	if wait > 0 {
		if err := backoff.Sleep(ctx, max(wait, scheduleStep)); err != nil {
			return 0, err
		}
	}
	return c.shift, nil
}
