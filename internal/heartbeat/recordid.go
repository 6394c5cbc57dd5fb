package heartbeat

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
)

// RecordIDHeader is the name of the Kafka record header that carries a RecordID: its 16 bytes, nothing else. A header of another
// length is ignored, so that foreign producers may use the name.
const RecordIDHeader = "heartbeat-id"

// RecordID identifies a reading across all attempts to send it: records of one partition with the same id are the same reading.
type RecordID [16]byte

// KeyedRecordID returns the id of the reading at an index of a request that a device sent with an idempotency key.
// The reading's text is part of it: a client that gives one key to two requests loses none.
func KeyedRecordID(device, key string, index int, value []byte) RecordID {
	return hashParts("key", device, key, strconv.Itoa(index), string(value))
}

// SequencedRecordID returns the id of a reading that the customer's device numbered by itself. Time and value are part of it: a device
// that was reset counts from the beginning again, and its new readings are none of the earlier ones.
func SequencedRecordID(device string, sequence int64, reading *Reading) RecordID {
	return hashParts("seq", reading.Customer.String(), device, strconv.FormatInt(sequence, 10),
		strconv.FormatInt(reading.Time.UnixMicro(), 10), strconv.FormatInt(int64(reading.BPM), 10))
}

// hashParts returns the first 16 bytes of SHA-256 over the parts, each with its length before it: without the length, different
// parts could give the same text.
func hashParts(parts ...string) RecordID {
	var text []byte
	for _, part := range parts {
		text = binary.BigEndian.AppendUint32(text, uint32(len(part)))
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	return RecordID(sum[:len(RecordID{})])
}
