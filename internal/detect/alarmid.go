package detect

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// Source is the log that a detector reads: what makes an offset unique in a database.
type Source struct {
	Log       string // the label that rows carry as kafka_topic
	Partition int32
}

// AlarmID identifies an alarm: a UUID of version 8 made of where its first raise stands in the log, so that a replay
// gives the same ids.
type AlarmID [16]byte

// AlarmID returns the id of the alarm that the reading at offset raises.
func (s Source) AlarmID(offset int64, condition Condition) AlarmID {
	return s.AlarmIDOf(offset, condition.String())
}

// AlarmIDOf returns the id of an alarm of any condition: the first 16 bytes of the SHA-256 of "log/partition/offset/condition"
// with the version and variant bits of a UUID (RFC 9562, version 8) put over them.
func (s Source) AlarmIDOf(offset int64, condition string) AlarmID {
	var scratch [128]byte // longer labels allocate; Kafka's longest would need 300
	text := append(scratch[:0], s.Log...)
	text = append(text, '/')
	text = strconv.AppendInt(text, int64(s.Partition), 10)
	text = append(text, '/')
	text = strconv.AppendInt(text, offset, 10)
	text = append(text, '/')
	text = append(text, condition...)
	sum := sha256.Sum256(text)
	id := AlarmID(sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// String returns the usual form of a UUID.
func (id AlarmID) String() string {
	var text [36]byte
	hex.Encode(text[0:8], id[0:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:36], id[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}
