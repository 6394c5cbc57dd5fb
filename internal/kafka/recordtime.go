package kafka

import "time"

// earliest is the beginning of 2000, in milliseconds: no reading is older.
const earliest = 946_684_800_000

// RecordTime returns a record's Kafka timestamp from its milliseconds, or the zero time for a record without one. Kafka spells that as
// -1. A time before 2000 comes from a clock that was never set, and says no more.
func RecordTime(milliseconds int64) time.Time {
	if milliseconds < earliest {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds)
}
