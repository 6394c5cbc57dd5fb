package heartbeat

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// Reason is the stable code of why a record is not a reading.
type Reason string

// The reasons, in the order in which they are looked for: a record has the first that applies.
const (
	Empty              Reason = "empty"
	TooLarge           Reason = "too_large"
	BadUTF8            Reason = "bad_utf8"
	NotJSON            Reason = "not_json"
	NotObject          Reason = "not_object"
	DuplicateField     Reason = "duplicate_field"
	MissingField       Reason = "missing_field"
	WrongType          Reason = "wrong_type"
	BadCustomerID      Reason = "bad_customer_id"
	BadTimestamp       Reason = "bad_timestamp"
	TimestampRange     Reason = "timestamp_out_of_range"
	RejectedByDatabase Reason = "rejected_by_database"
)

// MaxValueBytes is the size beyond which a value is TooLarge.
const MaxValueBytes = 1 << 20

// MaxDeadLetterBytes is how much of a key and of a value a dead letter keeps.
const MaxDeadLetterBytes = 64 << 10

// Rejection is the error of a record that is not a reading.
type Rejection struct {
	Reason   Reason
	Detail   string // for a person; valid UTF-8 without NUL, at most a few hundred bytes
	Customer string // the customer's id where it was readable, else empty
}

func (r *Rejection) Error() string { return fmt.Sprintf("%s: %s", r.Reason, r.Detail) }

// DeadLetter is a record that could not be stored as a reading, kept with the reason.
type DeadLetter struct {
	Rejection
	Offset    int64
	Timestamp time.Time // the record's Kafka timestamp
	Key       []byte    // first MaxDeadLetterBytes
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
