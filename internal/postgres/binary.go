package postgres

import (
	"encoding/binary"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"heartbeat/internal/heartbeat"
)

// PostgreSQL's binary formats: a value is its length and its bytes, big-endian. COPY and parameters use the same ones.
// All functions append to a buffer and return it, as append does.

// copyHeader begins a binary COPY stream, copyTrailer ends it.
const (
	copyHeader  = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	copyTrailer = "\xff\xff"
)

// epoch is where PostgreSQL's time begins, 2000-01-01, in Unix microseconds.
const epoch = 946_684_800_000_000

func appendColumns(b []byte, n int16) []byte { return binary.BigEndian.AppendUint16(b, uint16(n)) }

func appendNull(b []byte) []byte { return append(b, 0xff, 0xff, 0xff, 0xff) }

func appendInt16(b []byte, v int16) []byte {
	return binary.BigEndian.AppendUint16(append(b, 0, 0, 0, 2), uint16(v))
}

func appendInt32(b []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 4), uint32(v))
}

func appendInt64(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), uint64(v))
}

func appendFloat64(b []byte, v float64) []byte { return appendInt64(b, int64(math.Float64bits(v))) }

func appendTime(b []byte, t time.Time) []byte { return appendInt64(b, t.UnixMicro()-epoch) }

func appendBytes[T ~string | ~[]byte](b []byte, v T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

// appendOptional appends NULL for nil, which is not the same as no bytes.
func appendOptional(b, v []byte) []byte {
	if v == nil {
		return appendNull(b)
	}
	return appendBytes(b, v)
}

func appendCustomer(b []byte, id heartbeat.CustomerID) []byte {
	length := len(b)
	b = id.AppendTo(append(b, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(b[length:], uint32(len(b)-length-4))
	return b
}

// appendArray begins a one-dimensional array of n elements, which may be NULL.
func appendArray(b []byte, element uint32, n int) []byte {
	b = binary.BigEndian.AppendUint32(b, 1) // dimensions
	b = binary.BigEndian.AppendUint32(b, 1) // there may be NULLs
	b = binary.BigEndian.AppendUint32(b, element)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return binary.BigEndian.AppendUint32(b, 1) // first index
}

// representable tells whether PostgreSQL has a timestamptz for t. A record's Kafka timestamp is whatever its producer wrote.
func representable(t time.Time) bool { return t.Year() > -4700 && t.Year() < 294_000 }

// clean returns text without what PostgreSQL refuses: NUL and bytes that are not UTF-8.
func clean(text string) string {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// binaryFormat is the format of all parameters of a statement.
var binaryFormat = []int16{1}

func int4(v int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

func int8(v int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }
