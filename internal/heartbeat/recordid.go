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
func KeyedRecordID(device, key string, index int) RecordID {
	return hashParts("key", device, key, strconv.Itoa(index))
}

// SequencedRecordID returns the id of a reading that a customer's device numbered by itself.
func SequencedRecordID(customer CustomerID, device string, sequence int64) RecordID {
	return hashParts("seq", customer.String(), device, strconv.FormatInt(sequence, 10))
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
