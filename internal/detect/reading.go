package detect

import (
	"math"
	"time"

	"heartbeat/internal/heartbeat"
)

// Time is a moment in microseconds since 1970, UTC: the resolution of readings and of the database.
type Time int64

const (
	// UnknownTime is the Kafka timestamp of a record that carries none. Any negative value means the same.
	UnknownTime Time = -1
	// lastTime ends what is judged: a state keeps some times as 32-bit seconds. Only a reading without a Kafka
	// timestamp can be this far ahead, and no other clock bounds it.
	lastTime Time = math.MaxUint32 * second

	second = 1_000_000
	minute = 60 * second

	// lateAfter is how far the event time may lie before the Kafka timestamp of a reading that is judged.
	lateAfter = Time(heartbeat.MaxDelay / time.Microsecond)

	// maxLead is how far the decoder lets an event time lie ahead of the Kafka timestamp.
	maxLead = Time(heartbeat.MaxAhead / time.Microsecond)
)

// TimeOf converts a time, cutting off what is finer than a microsecond.
func TimeOf(t time.Time) Time { return Time(t.UnixMicro()) }

// UTC converts back.
func (t Time) UTC() time.Time { return time.UnixMicro(int64(t)).UTC() }

func (t Time) seconds() uint32 { return uint32(t / second) }

// Reading is what the detector needs of a reading.
type Reading struct {
	Event     Time // the event's own time
	Kafka     Time // the record's Kafka timestamp, or UnknownTime
	Offset    int64
	BPM       heartbeat.BPM
	Class     heartbeat.Class
	NoContact bool // the device says that it does not touch the skin: the value means nothing
}

// ReadingOf takes a stored reading with the Kafka timestamp and the offset of its record.
func ReadingOf(reading *heartbeat.Reading, kafka time.Time, offset int64) Reading {
	return Reading{
		Event: TimeOf(reading.Time), Kafka: max(TimeOf(kafka), UnknownTime), Offset: offset,
		BPM: reading.BPM, Class: reading.Class,
	}
}

// TimeUsed is the time that every rule goes by: the earlier of event time and Kafka timestamp, so that a device whose
// clock is ahead neither hides its next readings nor looks newer than others.
func (r Reading) TimeUsed() Time {
	if r.Kafka < 0 {
		return r.Event
	}
	return min(r.Event, r.Kafka)
}

// heard is when the reading arrived, as far as that is known.
func (r Reading) heard() Time {
	if r.Kafka < 0 {
		return r.Event
	}
	return r.Kafka
}

// isLate reports that a reading is history: stored, a sign of life, never judged.
func (r Reading) isLate(last Time) bool {
	used := r.TimeUsed()
	return used <= last || used > lastTime || r.Kafka >= 0 && r.Kafka-r.Event > lateAfter
}

// usable reports that the value can be a heart rate at all.
func (r Reading) usable() bool {
	return r.Class != heartbeat.Invalid && !r.NoContact && r.BPM >= minBPM && r.BPM <= maxBPM
}

// minBPM and maxBPM are the range of the classes other than INVALID (contract §3).
const (
	minBPM = 1
	maxBPM = 300
)
