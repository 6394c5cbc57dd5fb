package kafka

import "time"

// noTimestamp is how Kafka spells that a record has no timestamp.
const noTimestamp = -1

// RecordTime returns a record's Kafka timestamp from its milliseconds, or the zero time for a record without one.
func RecordTime(milliseconds int64) time.Time {
	if milliseconds == noTimestamp {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds)
}
