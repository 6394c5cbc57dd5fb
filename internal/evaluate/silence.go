package evaluate

import (
	"context"
	"fmt"
	"time"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/silence"
	"heartbeat/internal/simulate"
)

// silenceRun takes the readings of a whole fleet in the order in which they arrive, and looks once a simulated second for customers
// who fell silent, as a consumer of one partition does that keeps up.
type silenceRun struct {
	fleet    Fleet
	lost     func(simulate.Reading) bool // does not arrive
	detector *detect.Detector
	states   []detect.State // by customer, from 1 on
	slots    []int32        // of the watch, by customer; 0: not heard yet
	heard    []heartbeat.CustomerID
	watch    silence.Watch
	found    silence.Slots
	together silence.Fleet
	out      []detect.Transition
	readings int64

	waited   detect.Time // when customers waited last, because an outage might follow
	silences []foundSilence
	outages  []foundOutage
	episodes []simulate.Episode
}

// foundSilence is a personal alarm.
type foundSilence struct {
	customer heartbeat.CustomerID
	at       detect.Time
	late     detect.Time // after the customer's limit
	held     bool        // an outage, or what might have become one, held it back before
}

// foundOutage is an alarm of the fleet.
type foundOutage struct{ raised, ended detect.Time } // ended 0: not yet

func (f Fleet) silence(ctx context.Context, lost func(simulate.Reading) bool, hour func(hours int)) (*silenceRun, error) {
	detector, err := detect.New(detect.DefaultSettings(), detect.Source{Log: "evaluation"})
	if err != nil {
		return nil, fmt.Errorf("set up silence: %w", err)
	}
	s := &silenceRun{
		fleet: f, lost: lost, detector: detector, states: make([]detect.State, f.Customers+1), slots: make([]int32, f.Customers+1),
	}
	options := f.population(0)
	options.Shard, options.Shards = 0, 1
	options.Truth = func(e simulate.Episode) { s.episodes = append(s.episodes, e) }
	population, err := simulate.NewPopulation(options)
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	end, next := fleetStart.Add(f.Duration), fleetStart.Add(time.Second)
	for reading := range population.Readings() {
		for ; !next.After(reading.Sent) && next.Before(end); next = next.Add(time.Second) {
			s.look(next)
			if since := next.Sub(fleetStart); since%time.Hour == 0 {
				hour(int(since / time.Hour))
			}
		}
		if !reading.Sent.Before(end) {
			break
		}
		if s.readings++; s.readings%cancelEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !s.lost(reading) {
			s.hear(reading)
		}
	}
	return s, ctx.Err()
}

func (s *silenceRun) hear(reading simulate.Reading) {
	customer := reading.Customer
	state, input := &s.states[customer], inputOf(reading, s.readings)
	s.out = s.detector.Step(state, input, detect.DefaultLimits(), s.out[:0])
	s.watch.Stored(input.Kafka)
	if s.slots[customer] == 0 {
		s.heard = append(s.heard, customer)
		s.slots[customer] = int32(len(s.heard)) //nolint:gosec // customers fit
		s.watch.Add(state.SilentAfter(), silence.Heard)
		return
	}
	s.watch.Hear(int(s.slots[customer]-1), state.SilentAfter())
}

// look decides what a consumer decides that has stored everything up to now.
func (s *silenceRun) look(now time.Time) {
	s.watch.CaughtUp(now)
	report := s.watch.Look(&s.found)
	if len(s.found.Turned) > 0 {
		for _, slot := range s.found.Turned {
			s.watch.Checked(slot)
		}
		report = s.watch.Look(&s.found)
	}
	s.together.Report = report
	outage, _ := s.together.Decide()
	slots, phase := s.watch.Find(&s.found, &s.together, outage)
	at := detect.TimeOf(now)
	if s.together.MayFollow() {
		s.waited = at
	}
	switch outage {
	case silence.Raise:
		s.outages = append(s.outages, foundOutage{raised: at})
		s.together.Outage.Active = true
	case silence.Clear:
		s.outages[len(s.outages)-1].ended = at
		s.together.Outage.Active = false
	}
	for _, slot := range slots {
		if phase == silence.Silent {
			customer := s.heard[slot]
			state := &s.states[customer]
			limit := state.Heard() + detect.Time(state.SilentAfter()/time.Microsecond)
			s.silences = append(s.silences, foundSilence{customer, at, at - limit, s.watch.Phase(slot) == silence.Held || s.waited >= limit})
		}
		s.watch.SetPhase(slot, phase)
	}
}

// SilenceResult is what the search for silent customers is worth.
type SilenceResult struct {
	Silent ClockResult  `json:"silent"`
	Outage ClockResult  `json:"outage"`
	Beside int          `json:"silent_beside_an_outage"` // personal alarms during an outage of customers without an episode of their own
	Short  int          `json:"silent_in_short_episodes"`
	Held   int          `json:"held_back"` // episodes of silence without an alarm, because of an outage
	Kinds  []ClockKind  `json:"kinds"`
	Lost   LostTogether `json:"lost_together"`
}

// ClockResult is about one condition.
type ClockResult struct {
	Condition   simulate.Condition `json:"condition"`
	Sensitivity Share              `json:"sensitivity"`
	Alarms      int                `json:"alarms"`
	False       Rate               `json:"false"` // silent: a customer-day; outage: a day of the fleet, in per_customer_day
	DelayP50    float64            `json:"delay_p50_seconds"`
	DelayP95    float64            `json:"delay_p95_seconds"`
	AfterLimit  float64            `json:"after_limit_most_seconds,omitzero"` // of those that no outage held back
	EndedP50    float64            `json:"ended_p50_seconds,omitzero"`        // after the end of the episode
	EndedP95    float64            `json:"ended_p95_seconds,omitzero"`
}

// ClockKind is about the episodes of one kind.
type ClockKind struct {
	Kind  string `json:"kind"`
	Found Share  `json:"found"`
}

// LostTogether is what becomes of a share of the fleet that is lost at once.
type LostTogether struct {
	Customers int     `json:"customers"`
	Of        int     `json:"of"`
	Seconds   float64 `json:"seconds"`
	Outages   int     `json:"outages"` // alarms of the fleet
	Personal  int     `json:"silent"`  // alarms of customers
	Raised    float64 `json:"raised_after_seconds"`
	Ended     float64 `json:"ended_after_seconds"` // after they are heard again; -1: not
}

const (
	lostShare  = 30 // per cent of the fleet
	lostFrom   = time.Hour
	lostLength = 10 * time.Minute
	lostAll    = 2 * time.Hour
)

// silence judges the silences and outages of the fleet, and of one of which a share is lost at once.
func (o Options) silence(ctx context.Context) (*SilenceResult, error) {
	hours := int(o.Fleet.Duration / time.Hour)
	run, err := o.Fleet.silence(ctx, func(simulate.Reading) bool { return false }, func(hour int) {
		if o.Progress != nil {
			o.Progress("silence, hours", hour, hours)
		}
	})
	if err != nil {
		return nil, err
	}
	result := run.judge()
	result.Lost, err = o.Fleet.loseTogether(ctx)
	return result, err
}

func (f Fleet) loseTogether(ctx context.Context) (LostTogether, error) {
	f.Duration, f.Episodes = max(lostAll, 100*f.Interval), simulate.Rates{}
	from := fleetStart.Add(max(lostFrom, 50*f.Interval))
	until := from.Add(max(lostLength, 10*f.Interval))
	lost := func(customer heartbeat.CustomerID) bool { return customer%100 < lostShare }
	run, err := f.silence(ctx, func(r simulate.Reading) bool { return lost(r.Customer) && !r.Sent.Before(from) && r.Sent.Before(until) }, func(int) {})
	if err != nil {
		return LostTogether{}, err
	}
	r := LostTogether{Of: f.Customers, Seconds: until.Sub(from).Seconds(), Outages: len(run.outages), Personal: len(run.silences), Ended: -1}
	for customer := 1; customer <= f.Customers; customer++ {
		if lost(heartbeat.CustomerID(customer)) {
			r.Customers++
		}
	}
	if len(run.outages) > 0 {
		r.Raised = float64(run.outages[0].raised-detect.TimeOf(from)) / 1e6
		if last := run.outages[len(run.outages)-1]; last.ended != 0 {
			r.Ended = float64(last.ended-detect.TimeOf(until)) / 1e6
		}
	}
	return r, nil
}
