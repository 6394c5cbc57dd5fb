package detect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// stateVersion is the first byte of an encoded State. A change of the form needs a new one, and a decoder for the old.
// Version 1 has no gated readings before the first good one, and their minutes modulo signalMinutes. Versions 1 and 2 have ids of
// alarms and nothing of gaps: the customer's gaps are then unknown.
const stateVersion = 3

// noKafkaTimeBit is added to the number of gaps.
const noKafkaTimeBit = 0b0100

// Bits of the byte that precedes a condition.
const (
	phaseBits  = 0b0011
	runBit     = 0b0100 // a rate: since and count follow
	clearedBit = 0b1000 // the time of the clear follows
)

var errStateShort = errors.New("decode detector state: too short")

// AppendBinary appends the encoded state to b: about 40 bytes for a healthy customer, at most maxEncoded. Its error is
// always nil.
func (s *State) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, stateVersion)
	b = binary.AppendUvarint(b, uint64(s.heard))
	b = binary.AppendUvarint(b, uint64(s.last))
	head := s.gapsKnown
	if s.noKafkaTime {
		head |= noKafkaTimeBit
	}
	b = append(b, head)
	for _, gap := range s.gaps[:s.gapsKnown] {
		b = binary.AppendUvarint(b, uint64(gap))
	}
	b = s.appendWindow(b)
	b = s.appendSignal(b)
	b = s.high.append(b, s.last)
	b = s.low.append(b, s.last)
	b = binary.AppendUvarint(b, uint64(s.offset))
	b = binary.AppendUvarint(b, uint64(s.heard-s.gap.arrived))
	b = append(b, s.gapsLearned)
	b = binary.AppendUvarint(b, uint64(s.gap.mean))
	return binary.AppendUvarint(b, uint64(s.gap.deviation)), nil
}

// UnmarshalBinary sets the state to an encoded one. On an error the state is unchanged.
func (s *State) UnmarshalBinary(data []byte) error {
	d := stateDecoder{rest: data}
	d.version = d.byte()
	if d.err == nil && (d.version < 1 || d.version > stateVersion) {
		return fmt.Errorf("decode detector state: version %d, want 1 to %d", d.version, stateVersion)
	}
	var decoded State
	decoded.heard = Time(d.number("heard", math.MaxInt64))
	decoded.last = Time(d.number("last", uint64(lastTime)))
	head := d.byte()
	if decoded.noKafkaTime = head&noKafkaTimeBit != 0; head&^noKafkaTimeBit > gapCount {
		d.fail("gaps")
		return d.err
	}
	decoded.gapsKnown = head &^ noKafkaTimeBit
	for i := range decoded.gaps[:decoded.gapsKnown] {
		decoded.gaps[i] = uint32(d.number("gap", math.MaxUint32))
	}
	d.window(&decoded)
	d.signal(&decoded)
	d.rate(&decoded.high, decoded.last)
	d.rate(&decoded.low, decoded.last)
	d.arrivals(&decoded)
	if d.err == nil && len(d.rest) > 0 {
		d.err = fmt.Errorf("decode detector state: %d bytes too many", len(d.rest))
	}
	if d.err != nil {
		return d.err
	}
	*s = decoded
	return nil
}

func (d *stateDecoder) arrivals(s *State) {
	s.gap.arrived = s.heard
	if d.version < 3 {
		return
	}
	s.offset = int64(d.number("offset", math.MaxInt64))
	s.gap.arrived -= Time(d.number("arrived", uint64(s.heard)))
	if s.gapsLearned = d.byte(); s.gapsLearned > gapsNeeded {
		d.fail("gaps learned")
	}
	s.gap.mean = uint32(d.number("mean gap", math.MaxUint32))
	s.gap.deviation = uint32(d.number("deviation", math.MaxUint32))
}

func (s *State) appendWindow(b []byte) []byte {
	b = append(b, s.windowLen)
	if s.windowLen > 0 {
		for _, value := range s.window[:s.windowLen] {
			b = binary.AppendUvarint(b, uint64(value))
		}
		b = binary.AppendUvarint(b, uint64(s.last-s.good))
		b = append(b, s.stuckCount)
		b = binary.AppendUvarint(b, uint64(s.good-s.stuckSince))
	}
	b = append(b, s.heldLen)
	for i, value := range s.held[:s.heldLen] {
		b = binary.AppendUvarint(b, uint64(value))
		b = append(b, s.heldMinute[i])
	}
	return b
}

func (d *stateDecoder) window(s *State) {
	s.windowLen = uint8(d.number("window", medianMost))
	if s.windowLen > 0 {
		for i := range s.window[:s.windowLen] {
			s.window[i] = d.bpm()
		}
		s.good = s.last - Time(d.number("good", uint64(s.last)))
		s.stuckCount = d.byte()
		s.stuckSince = s.good - Time(d.number("stuck since", uint64(s.good)))
	} else if d.version == 1 {
		return
	}
	s.heldLen = uint8(d.number("held", heldMost))
	for i := range s.held[:s.heldLen] {
		s.held[i] = d.bpm()
		s.heldMinute[i] = d.heldMinute(s.last)
	}
}

func (d *stateDecoder) heldMinute(last Time) uint8 {
	held := d.byte()
	switch {
	case d.version > 1 && (held < heldMinutes || held == heldOutside):
		return held
	case held >= signalMinutes:
		d.fail("held minute")
	}
	latest := last / minute // of that remainder
	latest -= min(latest, (latest+signalMinutes-Time(held))%signalMinutes)
	return uint8(latest % heldMinutes)
}

func (s *State) appendSignal(b []byte) []byte {
	for i := range s.seen {
		b = binary.AppendUvarint(b, uint64(s.seen[i]))
		b = binary.AppendUvarint(b, uint64(s.bad[i]))
	}
	b = append(b, s.badRun, s.signalPeak)
	head := byte(s.signalPhase)
	if s.signalCleared != 0 {
		head |= clearedBit
	}
	return appendCleared(append(b, head), s.signalCleared)
}

func (d *stateDecoder) signal(s *State) {
	for i := range s.seen {
		s.seen[i] = uint16(d.number("seen", math.MaxUint16))
		s.bad[i] = uint16(d.number("bad", uint64(s.seen[i])))
	}
	s.badRun = uint8(d.number("bad run", signalRun))
	s.signalPeak = uint8(d.number("signal peak", 100))
	head := d.byte()
	s.signalPhase = phase(head & phaseBits)
	if s.signalPhase == unconfirmed || head&runBit != 0 {
		d.fail("signal phase")
	}
	d.cleared(&s.signalCleared, head)
}

func (c *rateState) append(b []byte, last Time) []byte {
	head := byte(c.phase)
	if c.since != 0 {
		head |= runBit
	}
	if c.cleared != 0 {
		head |= clearedBit
	}
	b = append(b, head)
	if head&runBit != 0 {
		b = binary.AppendUvarint(b, uint64(last-c.since))
		b = append(b, c.count)
	}
	if head&(runBit|phaseBits) != 0 {
		b = binary.AppendUvarint(b, uint64(c.peak))
	}
	return appendCleared(b, c.cleared)
}

func (d *stateDecoder) rate(c *rateState, last Time) {
	head := d.byte()
	c.phase = phase(head & phaseBits)
	if head&runBit != 0 {
		if c.since = last - Time(d.number("since", uint64(last))); c.since == 0 {
			d.fail("since") // zero means that there is no run
		}
		c.count = d.byte()
	}
	if head&(runBit|phaseBits) != 0 {
		c.peak = d.bpm()
	}
	d.cleared(&c.cleared, head)
}

func appendCleared(b []byte, cleared uint32) []byte {
	if cleared == 0 {
		return b
	}
	return binary.AppendUvarint(b, uint64(cleared))
}

func (d *stateDecoder) cleared(cleared *uint32, head byte) {
	now := phase(head & phaseBits)
	if now > active || now != idle && head&clearedBit != 0 || head > phaseBits|runBit|clearedBit {
		d.fail("phase")
	}
	if head&clearedBit != 0 {
		*cleared = uint32(d.number("cleared", math.MaxUint32))
		if *cleared == 0 {
			d.fail("cleared")
		}
	}
	if d.version > 2 || head&(clearedBit|phaseBits) == 0 || d.err != nil {
		return
	}
	if len(d.rest) < len(AlarmID{}) {
		d.err = errStateShort
		return
	}
	d.rest = d.rest[len(AlarmID{}):]
}

// stateDecoder reads from the front and keeps the first error.
type stateDecoder struct {
	rest    []byte
	version byte
	err     error
}

func (d *stateDecoder) fail(field string) {
	if d.err == nil {
		d.err = fmt.Errorf("decode detector state: %s out of range", field)
	}
}

func (d *stateDecoder) byte() byte {
	if d.err != nil {
		return 0
	}
	if len(d.rest) == 0 {
		d.err = errStateShort
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *stateDecoder) number(field string, most uint64) uint64 {
	if d.err != nil {
		return 0
	}
	value, n := binary.Uvarint(d.rest)
	switch {
	case n <= 0:
		d.err = errStateShort
		return 0
	case value > most:
		d.fail(field)
		return 0
	}
	d.rest = d.rest[n:]
	return value
}

func (d *stateDecoder) bpm() int16 { return int16(d.number("bpm", maxBPM)) }
