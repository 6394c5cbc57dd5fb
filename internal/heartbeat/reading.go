package heartbeat

import "time"

// BPM is a heart rate in whole beats per minute, as stored.
type BPM int32

// Reading is one valid event: well-formed, plausible in time and classified. A Reading of class Normal is a record,
// any other is an anomaly.
type Reading struct {
	Customer CustomerID
	Class    Class
	BPM      BPM       // the stored integer, always inside its class
	Time     time.Time // the event's own time, UTC, microseconds
}

// Record is one record of a Kafka partition as it was consumed.
type Record struct {
	Offset      int64
	LeaderEpoch int32     // -1 where the broker names none
	Timestamp   time.Time // the record's Kafka timestamp, milliseconds; zero: it has none
	Key         []byte
	Value       []byte    // nil for a tombstone
	ID          *RecordID // of the header RecordIDHeader; nil: it has none
	Control     bool      // a transaction marker: takes an offset, carries no event
}
