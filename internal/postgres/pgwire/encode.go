package pgwire

import (
	"encoding/binary"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// PostgreSQL's binary formats, for COPY and for parameters: a value is its length and its bytes, big-endian. All functions append to a
// buffer and return it, as append does.

// CopyHeader begins a binary COPY stream, CopyTrailer ends it.
const (
	CopyHeader  = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	CopyTrailer = "\xff\xff"
)

// Epoch is PostgreSQL's epoch, 2000-01-01, in Unix microseconds.
const Epoch = 946_684_800_000_000

// AppendColumns begins a row of n columns.
func AppendColumns(b []byte, n int16) []byte { return binary.BigEndian.AppendUint16(b, uint16(n)) }

// AppendNull appends NULL.
func AppendNull(b []byte) []byte { return append(b, 0xff, 0xff, 0xff, 0xff) }

// AppendInt16 appends a smallint.
func AppendInt16(b []byte, v int16) []byte {
	return binary.BigEndian.AppendUint16(append(b, 0, 0, 0, 2), uint16(v))
}

// AppendInt32 appends an integer.
func AppendInt32(b []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 4), uint32(v))
}

// AppendInt64 appends a bigint.
func AppendInt64(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), uint64(v))
}

// AppendFloat64 appends a double precision.
func AppendFloat64(b []byte, v float64) []byte { return AppendInt64(b, int64(math.Float64bits(v))) }

// AppendBool appends a boolean.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 0, 0, 0, 1, 1)
	}
	return append(b, 0, 0, 0, 1, 0)
}

// AppendTime appends a timestamptz.
func AppendTime(b []byte, t time.Time) []byte { return AppendInt64(b, t.UnixMicro()-Epoch) }

// AppendBytes appends a text or bytea.
func AppendBytes[T ~string | ~[]byte](b []byte, v T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

// AppendOptional appends a bytea, or NULL for nil.
func AppendOptional(b, v []byte) []byte {
	if v == nil {
		return AppendNull(b)
	}
	return AppendBytes(b, v)
}

// AppendArray begins a one-dimensional array of n elements of a type, which may be NULL.
func AppendArray(b []byte, element uint32, n int) []byte {
	b = binary.BigEndian.AppendUint32(b, 1) // dimensions
	b = binary.BigEndian.AppendUint32(b, 1) // there may be NULLs
	b = binary.BigEndian.AppendUint32(b, element)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return binary.BigEndian.AppendUint32(b, 1) // first index
}

// Representable reports whether a timestamptz can hold t. Producers may write any Kafka timestamp.
func Representable(t time.Time) bool { return t.Year() > -4700 && t.Year() < 294_000 }

// CleanText replaces what a text column refuses: NUL and bytes that are not UTF-8.
func CleanText(text string) string {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// binaryFormat is the format code of all parameters of a statement.
var binaryFormat = []int16{1}

// Int4 returns an integer parameter.
func Int4(v int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

// Int8 returns a bigint parameter.
func Int8(v int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }
