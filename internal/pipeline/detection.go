package pipeline

import (
	"context"
	"fmt"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/silence"
)

// Detection is what a worker needs to raise alarms.
type Detection struct {
	Settings detect.Settings
	Limits   LimitSource
	Store    DetectionStore
	Watch    bool // decide silence and lag
}

// LimitSource has the limits that people set.
type LimitSource interface {
	// Current returns all limits that concern readings up to now.
	Current(ctx context.Context) (*detect.LimitHistory, error)
}

// DetectionStore reads what earlier owners stored. Its errors are classed by KindOf.
type DetectionStore interface {
	// DetectorStates returns the states of those customers that have one.
	DetectorStates(ctx context.Context, claim Claim, customers []heartbeat.CustomerID) ([]DetectorState, error)
	// DeadLettered returns those of the offsets [from, to) of the claim's log that are stored as dead letters.
	DeadLettered(ctx context.Context, claim Claim, from, to int64) (map[int64]bool, error)
	// Episodes returns the alarms of customers that are active; with cleared also the one cleared last of each other condition.
	Episodes(ctx context.Context, customers []heartbeat.CustomerID, cleared bool) ([]StoredEpisode, error)
	SilenceStore
}

// DetectorState is the stored state of the detector for one customer.
type DetectorState struct {
	Customer heartbeat.CustomerID
	Encoded  []byte
	AsOf     int64 // the first offset of the claim's log that is not in the state; 0 for a state of another log
	// Silent is the customer's phase: whether it was found silent and not heard since.
	Silent silence.Phase
}

// StoredEpisode is an alarm as the database has it.
type StoredEpisode struct {
	Customer  heartbeat.CustomerID
	Condition detect.Condition
	detect.Episode
}

// detection evaluates the readings of a partition. Its states advance in place before a batch is written. The undo list takes
// them back when the batch is not stored, so that transitions and states always belong to committed batches.
//
// The states of customers are read when the first of their readings comes: after a change of the number of partitions,
// their readings come from another partition than the one that stored the state. The alarms in the database then say which
// conditions are active.
type detection struct {
	Detection
	detector *detect.Detector
	claim    Claim
	states   detectorStates
	slots    []uint32 // of the states of the readings at hand
	silence  silenceWatch

	// During a replay, asOf has the customers whose stored state already contains offsets that are read again.
	asOf     map[heartbeat.CustomerID]int64
	replayed int64 // offsets below are stepped

	// incomplete: Kafka no longer has all readings between the stored states and the claim's next offset.
	incomplete bool
	compared   bool                          // what the replay has read is compared with the database
	unreadable map[heartbeat.CustomerID]bool // their stored state is of a later version

	scratch []detect.Transition
}

// restore starts from what is stored under a claim.
func (d *detection) restore(claim Claim, incomplete bool) error {
	detector, err := detect.New(d.Settings, detect.Source{Log: claim.Log, Partition: claim.Number})
	if err != nil {
		return fmt.Errorf("set up detector: %w", err)
	}
	*d = detection{
		Detection: d.Detection, detector: detector, claim: claim, states: newDetectorStates(),
		asOf: map[heartbeat.CustomerID]int64{}, incomplete: incomplete || d.incomplete, unreadable: map[heartbeat.CustomerID]bool{},
		silence: silenceWatch{idle: claim.Idle},
	}
	return nil
}

// load finds the states of the readings' customers, and reads those that are not in memory yet.
func (d *detection) load(ctx context.Context, readings []Reading) error {
	known := d.states.count
	var missing []heartbeat.CustomerID
	d.slots = d.slots[:0]
	for i := range readings {
		slot, added := d.states.slot(readings[i].Customer)
		if added {
			missing = append(missing, readings[i].Customer)
		}
		d.slots = append(d.slots, slot)
	}
	if len(missing) == 0 {
		return nil
	}
	if err := d.read(ctx, missing); err != nil {
		d.states.truncate(known, missing)
		return err
	}
	return nil
}

func (d *detection) read(ctx context.Context, customers []heartbeat.CustomerID) error {
	stored, err := d.Store.DetectorStates(ctx, d.claim, customers)
	if err != nil {
		return err
	}
	phases := map[heartbeat.CustomerID]silence.Phase{}
	for i := range stored {
		phases[stored[i].Customer] = stored[i].Silent
		if stored[i].Encoded == nil {
			continue // silent, and no state was stored yet
		}
		slot, _ := d.states.slot(stored[i].Customer)
		if err := d.states.at(slot).UnmarshalBinary(stored[i].Encoded); err != nil {
			d.unreadable[stored[i].Customer] = true
			continue
		}
		if d.asOf != nil {
			d.asOf[stored[i].Customer] = stored[i].AsOf
		}
	}
	if d.compared { // else the replay comes first
		if err := d.compare(ctx, customers); err != nil {
			return err
		}
	}
	for _, customer := range customers {
		slot, _ := d.states.slot(customer)
		d.silence.Add(d.states.at(slot).SilentAfter(), phases[customer])
	}
	return nil
}

// compare makes the conditions of customers what the database has. An alarm that is active there and not in a complete state is one
// that another partition raised before the customer's readings came from this one. For how long an alarm can be reopened, a complete
// state knows better.
func (d *detection) compare(ctx context.Context, customers []heartbeat.CustomerID) error {
	var complete, incomplete []heartbeat.CustomerID
	for _, customer := range customers {
		if d.incomplete || d.unreadable[customer] {
			incomplete = append(incomplete, customer)
		} else {
			complete = append(complete, customer)
		}
	}
	if err := d.align(ctx, complete, false); err != nil {
		return err
	}
	return d.align(ctx, incomplete, true)
}

// align makes the conditions of customers what the database has, with cleared also for how long an alarm can be reopened.
func (d *detection) align(ctx context.Context, customers []heartbeat.CustomerID, cleared bool) error {
	if len(customers) == 0 {
		return nil
	}
	stored, err := d.Store.Episodes(ctx, customers, cleared)
	if err != nil {
		return err
	}
	type key struct {
		customer  heartbeat.CustomerID
		condition detect.Condition
	}
	episodes := make(map[key]detect.Episode, len(stored))
	for i := range stored {
		episodes[key{stored[i].Customer, stored[i].Condition}] = stored[i].Episode
	}
	for _, customer := range customers {
		slot, _ := d.states.slot(customer)
		state := d.states.at(slot)
		for _, condition := range detect.Conditions {
			have, _ := state.Episode(condition)
			want := episodes[key{customer, condition}]
			if have.Active != want.Active || want.Active && have.Priority != want.Priority || cleared && have.Cleared < want.Cleared {
				state.SetEpisode(condition, want)
			}
		}
	}
	return nil
}

// replay steps readings that an earlier owner has evaluated. Their transitions were committed with their batches. It leaves out what
// became a dead letter although it can be decoded: the database refused it, or an earlier version of the decoder did.
func (d *detection) replay(ctx context.Context, readings []Reading) error {
	if len(readings) == 0 {
		return nil
	}
	limits, err := d.Limits.Current(ctx)
	if err != nil {
		return err
	}
	if err := d.load(ctx, readings); err != nil {
		return err
	}
	dead, err := d.Store.DeadLettered(ctx, d.claim, readings[0].Offset, readings[len(readings)-1].Offset+1)
	if err != nil {
		return err
	}
	for i := range readings {
		reading := &readings[i]
		if reading.Offset < max(d.replayed, d.claim.StateFrom, d.asOf[reading.Customer]) || dead[reading.Offset] {
			continue
		}
		state := d.states.at(d.slots[i])
		d.step(state, reading, limits)
		d.silence.replay(d.slots[i], state, reading)
		d.replayed = reading.Offset + 1
	}
	return nil
}

// finishReplay compares the replayed states with the database, once, before one of them is stored or advanced by a batch.
func (d *detection) finishReplay(ctx context.Context) error {
	if d.compared {
		return nil
	}
	if err := d.compare(ctx, d.states.customers); err != nil {
		return err
	}
	d.compared, d.asOf = true, nil
	return nil
}

// watchAll adds customers that were stored before the claim and not heard since: the only customer of a partition must be missed
// too. It is called until all are watched.
func (d *detection) watchAll(ctx context.Context) error {
	for count := 0; !d.silence.loaded && count < statesPerWatch; count += statesAtOnce {
		stored, err := d.Store.PartitionStates(ctx, d.claim, d.silence.loadedUpTo, statesAtOnce)
		if err != nil {
			return err
		}
		var page []heartbeat.CustomerID
		for i := range stored {
			if d.add(&stored[i]) {
				page = append(page, stored[i].Customer)
			}
		}
		if err := d.compare(ctx, page); err != nil {
			return err
		}
		if d.silence.loaded = len(stored) < statesAtOnce; d.silence.loaded {
			d.compareHeard()
		} else {
			d.silence.loadedUpTo = stored[len(stored)-1].Customer
		}
	}
	return nil
}

// compareHeard tells the customers who left with the others' last readings from those who left before.
func (d *detection) compareHeard() {
	var newest detect.Time
	for slot := range d.states.count {
		newest = max(newest, d.states.at(slot).Heard())
	}
	for slot := range d.states.count {
		d.silence.Absent(int(slot), time.Duration(newest-d.states.at(slot).Heard())*time.Microsecond)
	}
}

// add starts to watch a stored customer who is not in memory yet. It returns false for a state of a later version, which this binary
// cannot read: that customer is watched from the next reading on.
func (d *detection) add(stored *DetectorState) (known bool) {
	var state detect.State
	if state.UnmarshalBinary(stored.Encoded) != nil {
		return false
	}
	slot, added := d.states.slot(stored.Customer)
	if !added {
		return true
	}
	*d.states.at(slot) = state
	d.silence.Add(state.SilentAfter(), stored.Silent)
	return true
}

// evaluate advances the states by a batch and gives it the transitions. Keep or undo must follow.
func (d *detection) evaluate(ctx context.Context, batch *Batch) error {
	limits, err := d.Limits.Current(ctx)
	if err != nil {
		return err
	}
	if err := d.load(ctx, batch.Readings); err != nil {
		return err
	}
	for i := range batch.Readings {
		reading := &batch.Readings[i]
		state := d.states.touch(d.slots[i])
		if d.silence.Phase(int(d.slots[i])) != silence.Heard {
			d.silence.end(batch, d.slots[i], state, reading)
		}
		for _, t := range d.step(state, reading, limits) {
			batch.Transitions = append(batch.Transitions, alarm.Detected(reading.Customer, &t))
		}
		d.silence.hear(d.slots[i], state, reading)
	}
	return nil
}

func (d *detection) step(state *detect.State, reading *Reading, limits *detect.LimitHistory) []detect.Transition {
	input := detect.Reading{
		Event: detect.TimeOf(reading.Time), Kafka: reading.Kafka, Offset: reading.Offset, BPM: reading.BPM, Class: reading.Class,
	}
	if input.Kafka <= 0 {
		input.Kafka = detect.UnknownTime
	}
	d.scratch = d.detector.Step(state, input, limits.At(reading.Customer, input.TimeUsed()), d.scratch[:0])
	return d.scratch
}

// encode returns the states of customers as they are stored.
func (d *detection) encode(customers []CustomerState) [][]byte {
	const typical = 64 // bytes
	buffer := make([]byte, 0, typical*len(customers))
	encoded := make([][]byte, len(customers))
	for i := range customers {
		slot, _ := d.states.slot(customers[i].Customer)
		start := len(buffer)
		buffer, _ = d.states.at(slot).AppendBinary(buffer)
		encoded[i] = buffer[start:len(buffer):len(buffer)]
	}
	return encoded
}
