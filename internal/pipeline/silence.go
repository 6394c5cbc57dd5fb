package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/silence"
)

const (
	// reportEvery is how often a partition reports when nothing changes.
	reportEvery = time.Minute
	// statesAtOnce and statesPerWatch bound how long reading the customers of a partition delays its readings.
	statesAtOnce   = 5_000
	statesPerWatch = 20_000
	// silentAtOnce bounds a transaction that finds customers silent. Others follow a second later.
	silentAtOnce = 5_000
)

// SilenceStore keeps what the partitions of a topic know of silence. Its errors are classed by KindOf.
type SilenceStore interface {
	// PartitionStates returns states that were last stored under the claim's log and partition, of customers whose silence is not
	// raised, in the order of their names from the one after. 0 is before all.
	PartitionStates(ctx context.Context, claim Claim, after heartbeat.CustomerID, limit int) ([]DetectorState, error)
	// Overdue returns what bears on the silence of customers.
	Overdue(ctx context.Context, claim Claim, customers []heartbeat.CustomerID) ([]OverdueCustomer, error)
	// Report stores a partition's report and returns those of all partitions of its topic.
	Report(ctx context.Context, claim Claim, report silence.Report) (silence.Fleet, error)
}

// OverdueCustomer is what the database knows of a customer who was not heard for long.
type OverdueCustomer struct {
	Customer  heartbeat.CustomerID
	Elsewhere bool // its readings come from another partition or log now
	Alarmed   bool // another alarm of the customer is open
	Recent    bool // its silence ended so recently that the alarm can be reopened
}

// silenceWatch is what a detection knows of silence.
type silenceWatch struct {
	silence.Watch
	ended []endedSilence // in this round of the states

	idle   time.Duration // of the claim
	active time.Time     // when the worker last began to store or to watch; zero: not since the claim
	behind bool
	since  time.Time // behind

	loaded     bool                 // all customers of the partition are watched
	loadedUpTo heartbeat.CustomerID // customers up to this one

	reported   silence.Report
	reportedAt time.Time
	fleet      silence.Fleet // of the last report

	slots silence.Slots
}

// endedSilence is the phase of a customer before it was heard.
type endedSilence struct {
	slot  uint32
	phase silence.Phase
}

// hear takes a reading after its step.
func (s *silenceWatch) hear(slot uint32, state *detect.State, reading *Reading) {
	s.Stored(reading.Kafka)
	s.Hear(int(slot), state.SilentAfter())
}

// replay takes a reading that was stored before the claim. What was found silent since is silent still.
func (s *silenceWatch) replay(slot uint32, state *detect.State, reading *Reading) {
	s.Stored(reading.Kafka)
	s.Restore(int(slot), state.SilentAfter(), s.Phase(int(slot)))
}

// end gives a batch the transitions of a silent customer whose reading is about to be stepped.
func (s *silenceWatch) end(batch *Batch, slot uint32, state *detect.State, reading *Reading) {
	phase := s.Phase(int(slot))
	s.ended = append(s.ended, endedSilence{slot, phase})
	batch.HeardAgain = append(batch.HeardAgain, reading.Customer)
	arrival := reading.Kafka
	if arrival <= 0 {
		arrival = detect.TimeOf(reading.Time)
	}
	t := alarm.Transition{
		Subject: reading.Customer.String(), Condition: alarm.Silent, Kind: alarm.Cleared, Offset: reading.Offset,
		At: later(arrival.UTC(), foundSilentAt(state)), Since: arrival.UTC(),
	}
	if phase == silence.Silent {
		batch.Transitions = append(batch.Transitions, t)
	}
	t.Kind = alarm.Fresh
	batch.Transitions = appendRates(batch.Transitions, t, state)
}

// foundSilentAt is when a customer counts as silent: it follows from the log alone, so the same silence has the same time.
func foundSilentAt(state *detect.State) time.Time {
	return state.Heard().UTC().Add(state.SilentAfter())
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// appendRates appends a transition for each rate condition that is active.
func appendRates(all []alarm.Transition, t alarm.Transition, state *detect.State) []alarm.Transition {
	for _, c := range [...]detect.Condition{detect.RateHigh, detect.RateLow} {
		if episode, _ := state.Episode(c); episode.Active {
			t.Condition = alarm.Condition(c.String())
			all = append(all, t)
		}
	}
	return all
}

// keep ends a round whose batch is stored.
func (s *silenceWatch) keep() { s.ended = s.ended[:0] }

// takeBack ends a round whose batch is not stored: who was silent is silent still.
func (s *silenceWatch) takeBack() {
	for _, ended := range s.ended {
		s.SetPhase(int(ended.slot), ended.phase)
	}
	s.keep()
}

// Watch decides who is silent, and whether the consumer is behind. The broker was asked at asked and answered that the log ends at
// end. Watch returns true once everything before end is stored, because silence is decided only then; until then the caller repeats
// the call about once a second. It fails only with the context's error, or with an error of kind Fenced.
func (w *Worker) Watch(ctx context.Context, end int64, asked time.Time) (reached bool, err error) {
	if w.detection == nil || !w.detection.Watch {
		return true, nil
	}
	s := &w.detection.silence
	s.active = time.Now()
	waited := time.Since(asked)
	if w.claim.Next < end || !w.customers.replayed {
		if w.claim.Next < end && waited > silence.BehindAfter && !s.behind {
			return false, w.fallBehind(ctx, waited)
		}
		return false, nil
	}
	// Lag lasts for CaughtUpWithin at least: other partitions of a consumer that has just started may not have begun yet.
	if s.behind = s.behind && (waited > silence.CaughtUpWithin || time.Since(s.since) < silence.CaughtUpWithin); s.behind {
		return true, nil
	}
	s.CaughtUp(asked)
	err = w.persist(ctx, func() error {
		if err := w.detection.finishReplay(ctx); err != nil {
			return err
		}
		return w.detection.watchAll(ctx)
	})
	if err != nil {
		return true, err
	}
	if !s.loaded {
		return true, nil // its report would be one of a part
	}
	report := s.Look(&s.slots)
	if len(s.slots.Turned) > 0 {
		if err := w.checkTurned(ctx); err != nil {
			return true, err
		}
		report = s.Look(&s.slots)
	}
	return true, w.decide(ctx, report, 0)
}

// checkTurned forgets those of the customers who turned silent whose readings come from elsewhere: where partitions are added, half of a
// fleet may move at once, which is no outage.
func (w *Worker) checkTurned(ctx context.Context) error {
	d := w.detection
	turned := d.silence.slots.Turned
	known, err := w.overdue(ctx, turned[:min(len(turned), silentAtOnce)])
	if err != nil {
		return err
	}
	for i := range known {
		slot, _ := d.states.slot(known[i].Customer)
		if known[i].Elsewhere {
			d.silence.Forget(int(slot))
		} else {
			d.silence.Checked(int(slot))
		}
	}
	return nil
}

// beginBehind reports lag when records have waited for longer than BehindAfter: before the claim, while this process was stopped, or
// behind a transaction that took long. Both the time in which the worker did nothing else and the record's timestamp must say so: a
// partition may have been idle, and old data may be written today.
func (w *Worker) beginBehind(ctx context.Context, records []heartbeat.Record) error {
	if w.detection == nil || !w.detection.Watch {
		return nil
	}
	s := &w.detection.silence
	first := slices.IndexFunc(records, func(r heartbeat.Record) bool { return r.Offset >= w.claim.Next })
	if first < 0 {
		return nil
	}
	passed := s.idle
	if !s.active.IsZero() {
		passed = time.Since(s.active)
	}
	s.active = time.Now()
	if s.behind || records[first].Timestamp.IsZero() {
		return nil
	}
	waited := min(passed, time.Since(records[first].Timestamp))
	if waited <= silence.BehindAfter {
		return nil
	}
	return w.fallBehind(ctx, waited)
}

// reportStopped raises lag of a partition that waits for a person, so that this person is told. It tries once: the caller comes back.
func (w *Worker) reportStopped(ctx context.Context, since time.Time) {
	if w.detection == nil || !w.detection.Watch || w.detection.silence.behind {
		return
	}
	s := &w.detection.silence
	report := s.reported
	report.Behind, report.Turned = true, 0
	fleet, err := w.detection.Store.Report(ctx, w.claim, report)
	if err != nil {
		w.logger.Debug("lag not reported", "error", err)
		return
	}
	batch := &Batch{From: w.claim.Next, To: w.claim.Next, Epoch: w.claim.Epoch, StateFrom: w.claim.StateFrom}
	_, change := fleet.Decide()
	w.addLag(batch, change, fleet.Lag, time.Since(since))
	if len(batch.Transitions) > 0 {
		if err := w.store.Write(ctx, w.claim, batch); err != nil {
			w.logger.Debug("lag not stored", "error", err)
			return
		}
	}
	s.behind, s.since = true, time.Now()
	s.reported, s.reportedAt, s.fleet = report, time.Time{}, fleet
}

func (w *Worker) fallBehind(ctx context.Context, by time.Duration) error {
	s := &w.detection.silence
	s.behind, s.since = true, time.Now()
	s.slots = silence.Slots{}
	report := s.reported
	report.Behind, report.Turned = true, 0
	w.logger.Warn("partition is behind: no silence is decided until it has caught up", "behind", by.Round(time.Second))
	return w.decide(ctx, report, by)
}

// decide reports to the fleet, where there is something to report, and stores what follows.
func (w *Worker) decide(ctx context.Context, report silence.Report, behind time.Duration) error {
	s := &w.detection.silence
	due := time.Since(s.reportedAt) >= reportEvery
	changed := report.Turned != s.reported.Turned || report.Silent != s.reported.Silent || report.Behind != s.reported.Behind
	if !due && !changed && len(s.slots.Overdue)+len(s.slots.Held) == 0 && !s.fleet.Outage.Active && !s.fleet.Lag.Active {
		return nil
	}
	err := w.persist(ctx, func() (err error) {
		s.fleet, err = w.detection.Store.Report(ctx, w.claim, report)
		return err
	})
	if err != nil {
		return err
	}
	if due {
		w.meter.watched(w.partition, report, s.reported)
	}
	s.reported, s.reportedAt = report, time.Now()
	batch := &Batch{From: w.claim.Next, To: w.claim.Next, Epoch: w.claim.Epoch, StateFrom: w.claim.StateFrom}
	if w.customers.replayed {
		w.include(batch, 0)
	}
	outage, lag := s.fleet.Decide()
	if report.Behind {
		outage = silence.None // what others report is theirs to decide by
	}
	w.addFleet(batch, alarm.Outage, outage, s.fleet.Outage, alarm.Measure{
		Value: int32(100 * s.fleet.Silent / max(s.fleet.Watched, 1)), Limit: silence.OutagePercent,
		Detail: fmt.Sprintf("%d of %d customers", s.fleet.Silent, s.fleet.Watched),
	})
	w.addLag(batch, lag, s.fleet.Lag, behind)
	slots, phase := s.Find(&s.slots, &s.fleet, outage)
	slots = slots[:min(len(slots), silentAtOnce)]
	if slots, err = w.addSilent(ctx, batch, slots, phase); err != nil {
		return err
	}
	if len(batch.Transitions)+len(batch.Silent) == 0 {
		return nil
	}
	if err := w.write(ctx, batch); err != nil {
		return err
	}
	for _, slot := range slots {
		s.SetPhase(slot, phase)
	}
	s.reportedAt = time.Time{} // the alarms have changed
	return nil
}

func (w *Worker) addLag(batch *Batch, change silence.Change, state silence.AlarmState, behind time.Duration) {
	w.addFleet(batch, alarm.Lag, change, state, alarm.Measure{
		Value: int32(behind.Seconds()), Limit: int32(silence.BehindAfter.Seconds()), Detail: fmt.Sprintf("partition %d", w.partition.Number),
	})
}

// addFleet adds the change of an alarm of the fleet. Its subject is the topic.
func (w *Worker) addFleet(batch *Batch, condition alarm.Condition, change silence.Change, state silence.AlarmState, measure alarm.Measure) {
	if change == silence.None {
		return
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	t := alarm.Transition{
		Subject: w.partition.Topic, Condition: condition, Kind: alarm.Cleared, Priority: alarm.High, At: now, Since: now, Offset: w.claim.Next - 1,
	}
	if change == silence.Raise {
		t.Kind, t.Measure = alarm.Raised, measure
		t.Peak = t.Value
		if state.Recent {
			t.Kind = alarm.Reopened
		}
		t.Alarm = alarm.ID(w.detection.detector.Source().AlarmIDOf(t.Offset, fmt.Sprintf("%s/%d", condition, now.UnixMicro())))
	}
	batch.Transitions = append(batch.Transitions, t)
}

// addSilent adds customers who are silent, and returns the slots of those that were added, in the order of their customers.
func (w *Worker) addSilent(ctx context.Context, batch *Batch, slots []int, phase silence.Phase) (added []int, err error) {
	if len(slots) == 0 {
		return nil, nil
	}
	d := w.detection
	known, err := w.overdue(ctx, slots)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(known, func(a, b OverdueCustomer) int { return cmp.Compare(a.Customer, b.Customer) })
	for i := range known {
		slot, _ := d.states.slot(known[i].Customer)
		if known[i].Elsewhere {
			d.silence.Forget(int(slot))
			continue
		}
		added = append(added, int(slot))
		w.addOne(batch, &known[i], d.states.at(slot), phase, d.silence.Phase(int(slot)))
	}
	return added, nil
}

// overdue reads what bears on the silence of the customers in slots.
func (w *Worker) overdue(ctx context.Context, slots []int) (known []OverdueCustomer, err error) {
	d := w.detection
	customers := make([]heartbeat.CustomerID, len(slots))
	for i, slot := range slots {
		customers[i] = d.states.customers[slot]
	}
	err = w.persist(ctx, func() (err error) {
		known, err = d.Store.Overdue(ctx, w.claim, customers)
		return err
	})
	return known, err
}

func (w *Worker) addOne(batch *Batch, known *OverdueCustomer, state *detect.State, phase, before silence.Phase) {
	t := alarm.Transition{
		Subject: known.Customer.String(), Condition: alarm.Silent, Kind: alarm.Raised, Priority: alarm.Low,
		At: foundSilentAt(state), Since: state.Heard().UTC(), Offset: state.Offset(),
	}
	if known.Alarmed {
		t.Priority = alarm.Medium
	}
	if known.Recent {
		t.Kind = alarm.Reopened
	}
	t.Alarm = alarm.ID(w.detection.detector.Source().AlarmIDOf(t.Offset, string(alarm.Silent)))
	if phase == silence.Silent {
		batch.Transitions = append(batch.Transitions, t)
	}
	if before == silence.Held {
		return
	}
	batch.Silent = append(batch.Silent, SilentCustomer{known.Customer, state.Heard(), state.Offset()})
	stale := alarm.Transition{Subject: t.Subject, Kind: alarm.Stale, At: t.At, Since: t.Since, Offset: t.Offset}
	batch.Transitions = appendRates(batch.Transitions, stale, state)
}
