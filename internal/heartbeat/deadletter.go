package heartbeat

import (
	"crypto/sha256"
	"time"
)

// MaxDeadLetterBytes is how much of a key and of a value a dead letter keeps.
const MaxDeadLetterBytes = 64 << 10

// DeadLetter is a record that could not be stored as a reading, kept with the reason.
type DeadLetter struct {
	Rejection
	Offset    int64
	Timestamp time.Time // the record's Kafka timestamp; zero: it has none
	Key       []byte    // first MaxDeadLetterBytes, nil where there was none
	Value     []byte    // first MaxDeadLetterBytes, nil where there was none
	Length    int       // of the whole value, in bytes
	SHA256    [sha256.Size]byte
}

// NewDeadLetter keeps a record with the reason for its rejection. Key and Value alias the record's.
func NewDeadLetter(record Record, rejection *Rejection) DeadLetter {
	return DeadLetter{
		Rejection: *rejection,
		Offset:    record.Offset,
		Timestamp: record.Timestamp,
		Key:       record.Key[:min(len(record.Key), MaxDeadLetterBytes)],
		Value:     record.Value[:min(len(record.Value), MaxDeadLetterBytes)],
		Length:    len(record.Value),
		SHA256:    sha256.Sum256(record.Value),
	}
}
