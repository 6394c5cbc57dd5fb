package alarmreplay

import (
	"slices"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/repeat"
)

// Log says which partition of which log is replayed.
type Log struct {
	Label     string
	Partition int32
	Complete  bool // the replay begins with the first record that a consumer evaluated
	// Dead are the offsets of dead letters, in order: their readings are not evaluated, even where they can be decoded now.
	Dead []int64
	// Repeated are the offsets of the records that were dropped as repeats, in order.
	Repeated []int64
	// Before are the latest events of each alarm that lie before the first record, of a log that is not complete.
	Before []alarm.Event
	// Next returns the next event of the partition's history, false after the last one.
	Next func() (alarm.Event, bool)
}

// Partition replays one partition.
type Partition struct {
	*Replay
	Log
	number   int32
	detector *detect.Detector
	decoder  heartbeat.Decoder

	window repeat.Window
	begin  time.Time // the first record's Kafka timestamp

	pending     alarm.Event // the next stored one
	more        bool
	episodes    map[episodeKey]detect.Episode // of customers that are not trusted yet
	transitions []detect.Transition
	gap         Gap // the current one; without transitions: none
}

type episodeKey struct {
	customer  heartbeat.CustomerID
	condition alarm.Condition
}

// Begin starts with a partition. Its records follow by Step, and End must be called after the last one.
func (r *Replay) Begin(log Log) (*Partition, error) {
	detector, err := detect.New(r.settings, detect.Source{Log: log.Label, Partition: log.Partition})
	if err != nil {
		return nil, err
	}
	p := &Partition{Replay: r, Log: log, detector: detector, episodes: map[episodeKey]detect.Episode{}}
	for _, c := range r.customers {
		p.number = max(p.number, c.partition+1)
	}
	for i := range log.Before {
		p.adopt(&log.Before[i])
	}
	p.read()
	return p, nil
}

// Step takes the next record.
func (p *Partition) Step(record *heartbeat.Record) {
	p.unmatched(record.Offset)
	if p.repeats(record) || advance(&p.Dead, record.Offset) {
		return
	}
	reading, rejection := p.decoder.Decode(*record)
	if rejection != nil {
		return
	}
	input := detect.ReadingOf(&reading, record.Timestamp, record.Offset)
	if input.Kafka <= 0 {
		input.Kafka = detect.UnknownTime
	}
	p.Readings++
	c := p.customer(reading.Customer, input.TimeUsed())
	p.transitions = p.detector.Step(&c.state, input, p.limits.At(reading.Customer, input.TimeUsed()), p.transitions[:0])
	if p.Observe != nil {
		p.Observe(reading.Customer, input, p.transitions)
	}
	stored := p.withoutSilence(c, reading.Customer, p.storedAt(record.Offset))
	if !c.trusted {
		p.warmUp(c, reading.Customer, stored)
		return
	}
	for i := range p.transitions {
		stored = p.compare(reading.Customer, alarm.Detected(reading.Customer, &p.transitions[i]), stored)
	}
	p.report(stored)
}

// repeats reports whether the consumer dropped a record as a repeat, and compares that with the window. In a log whose start is
// gone, a record may repeat one that is gone too.
func (p *Partition) repeats(record *heartbeat.Record) bool {
	if p.begin.IsZero() {
		p.begin = record.Timestamp
	}
	dropped := advance(&p.Repeated, record.Offset)
	repeated := record.ID != nil && p.window.Take(repeat.EntryOf(record))
	p.window.Keep()
	if repeated != dropped && (p.Complete || record.Timestamp.Sub(p.begin) >= repeat.Span) {
		reading, _ := p.decoder.Decode(*record)
		p.add(alarm.Position{Log: p.Label, Partition: p.Log.Partition, Offset: record.Offset}, reading.Customer,
			"repeats an earlier record: %t by the log, %t by the database", repeated, dropped)
	}
	return dropped
}

// advance drops the offsets below one and reports whether that one is listed.
func advance(offsets *[]int64, offset int64) bool {
	for len(*offsets) > 0 && (*offsets)[0] < offset {
		*offsets = (*offsets)[1:]
	}
	return len(*offsets) > 0 && (*offsets)[0] == offset
}

// End reports what is stored behind the last record.
func (p *Partition) End() {
	for p.more {
		p.report([]alarm.Event{p.take()})
	}
	p.endGap()
}

// miss takes a transition that is not stored into the gap.
func (p *Partition) miss(offset int64) {
	if p.gap.Transitions == 0 {
		p.gap = Gap{Log: p.Label, Partition: p.Log.Partition, From: offset}
	}
	p.gap.To = offset
	p.gap.Transitions++
}

// endGap ends the gap: something is stored again.
func (p *Partition) endGap() {
	if p.gap.Transitions >= minGap {
		p.gaps = append(p.gaps, p.gap)
	}
	p.gap = Gap{}
}

func (p *Partition) customer(id heartbeat.CustomerID, at detect.Time) *customer {
	c, ok := p.customers[id]
	if !ok {
		c = &customer{partition: p.number, trusted: p.Complete, first: at}
		p.customers[id] = c
		p.align(c, id)
	}
	c.moved = c.moved || c.partition != p.number
	c.readings++
	if !c.trusted && c.readings > warmUpReadings && at-c.first > detect.Time(warmUpTime.Microseconds()) {
		c.trusted = true
	}
	return c
}

// warmUp makes the alarms of a customer those of the history.
func (p *Partition) warmUp(c *customer, id heartbeat.CustomerID, stored []alarm.Event) {
	for i := range stored {
		p.adopt(&stored[i])
	}
	p.align(c, id)
}

func (p *Partition) align(c *customer, id heartbeat.CustomerID) {
	if c.trusted {
		return
	}
	for _, condition := range detect.Conditions {
		have, _ := c.state.Episode(condition)
		want := p.episodes[episodeKey{id, alarm.Condition(condition.String())}]
		if have.Active != want.Active || want.Active && have.Priority != want.Priority || have.Cleared < want.Cleared {
			c.state.SetEpisode(condition, want)
		}
	}
}

// adopt takes an alarm over from its latest event.
func (p *Partition) adopt(e *alarm.Event) {
	customer, err := heartbeat.ParseCustomerID(e.Subject)
	if err != nil {
		return
	}
	episode := detect.Episode{
		Active: true, Priority: detect.Priority(e.Priority), Peak: heartbeat.BPM(e.Peak),
	}
	if e.Kind == alarm.Cleared {
		episode = detect.Episode{Cleared: detect.TimeOf(e.At)}
	}
	p.episodes[episodeKey{customer, e.Condition}] = episode
}

// take returns the pending event and reads the next.
func (p *Partition) take() (e alarm.Event) {
	e = p.pending
	p.read()
	return e
}

// read reads the next event. Those of the fleet come from no record.
func (p *Partition) read() {
	p.pending, p.more = p.Next()
	for p.more && p.pending.Condition.OfFleet() {
		p.pending, p.more = p.Next()
	}
}

// withoutSilence leaves out the events that a clock decides, and reports one that does not belong to its reading: silence begins
// after the customer's latest reading.
func (p *Partition) withoutSilence(c *customer, id heartbeat.CustomerID, stored []alarm.Event) []alarm.Event {
	return slices.DeleteFunc(stored, func(e alarm.Event) bool {
		if e.Condition != alarm.Silent {
			return e.Kind == alarm.Stale || e.Kind == alarm.Fresh
		}
		if wrong := e.Subject != id.String() || !e.Since.Equal(c.state.Heard().UTC()); wrong && e.Kind != alarm.Cleared {
			p.add(*e.Position, id, "stored is %s, the replay has the customer heard at %s", describeEvent(&e), c.state.Heard().UTC().Format(time.RFC3339Nano))
		}
		return true
	})
}

// unmatched reports the events below an offset: no record gives them.
func (p *Partition) unmatched(below int64) {
	for p.more && p.pending.Offset < below {
		p.report([]alarm.Event{p.take()})
	}
}

func (p *Partition) storedAt(offset int64) (stored []alarm.Event) {
	for p.more && p.pending.Offset == offset {
		stored = append(stored, p.take())
	}
	return stored
}

// compare compares a transition with the events of its reading and returns those that are left.
func (p *Partition) compare(id heartbeat.CustomerID, t alarm.Transition, stored []alarm.Event) []alarm.Event {
	p.Transitions++
	at := alarm.Position{Log: p.Label, Partition: p.Log.Partition, Offset: t.Offset}
	i := slices.IndexFunc(stored, func(e alarm.Event) bool { return e.Subject == t.Subject && e.Condition == t.Condition })
	if i < 0 {
		p.add(at, id, "the replay says %s, which is not stored", describe(&t))
		p.miss(t.Offset)
		return stored
	}
	p.endGap()
	if e := &stored[i]; e.ID != t.EventID(p.Label, p.Log.Partition) || e.Kind == alarm.Raised && e.Alarm != t.Alarm ||
		!e.At.Equal(t.At) || !e.Since.Equal(t.Since) || e.Priority != t.Priority || e.Measure != t.Measure {
		p.add(at, id, "the replay says %s, stored is %s", describe(&t), describeEvent(e))
	}
	return slices.Delete(stored, i, i+1)
}

// report reports events that the replay does not give.
func (p *Partition) report(stored []alarm.Event) {
	for i := range stored {
		e := &stored[i]
		customer, _ := heartbeat.ParseCustomerID(e.Subject)
		if c := p.customers[customer]; c != nil && !c.trusted || c == nil && !p.Complete {
			continue
		}
		p.Transitions++
		p.endGap()
		p.add(*e.Position, customer, "stored is %s, which the replay does not give", describeEvent(e))
	}
}
