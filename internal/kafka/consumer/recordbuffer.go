package consumer

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
)

// recordBuffer collects records of one partition. It copies them, so that the client can reuse its own buffers at once,
// and stores no pointers, so that the garbage collector does not scan it.
type recordBuffer struct {
	bytes   []byte // keys, values and ids, one after the other
	headers []recordHeader
}

// recordHeader is a record without its key and value.
type recordHeader struct {
	offset     int64
	timestamp  int64 // Unix milliseconds, -1 for none
	epoch      int32
	key, value int32 // lengths, absent for none
	control    bool
	id         bool // its bytes follow the value
}

const absent = -1

// maxBufferedBytes of keys and values may wait for one transaction before their partition is paused. A buffer that grew
// larger is not kept, because such records are rare.
const maxBufferedBytes = 4 << 20

// add copies a record and returns its memory to the client.
func (b *recordBuffer) add(record *kgo.Record) {
	id := kafka.RecordID(record)
	b.headers = append(b.headers, recordHeader{
		offset:    record.Offset,
		timestamp: record.Timestamp.UnixMilli(),
		epoch:     record.LeaderEpoch,
		key:       b.append(record.Key),
		value:     b.append(record.Value),
		control:   record.Attrs.IsControl(),
		id:        id != nil,
	})
	if id != nil {
		b.bytes = append(b.bytes, id[:]...)
	}
	record.Recycle()
}

func (b *recordBuffer) append(text []byte) (length int32) {
	if text == nil {
		return absent
	}
	b.bytes = append(b.bytes, text...)
	return int32(len(text))
}

// appendTo appends the buffer's records. Their keys, values and ids alias the buffer.
func (b *recordBuffer) appendTo(records []heartbeat.Record) []heartbeat.Record {
	rest := b.bytes
	take := func(length int32) (text []byte) {
		switch length {
		case absent:
			return nil
		case 0:
			return []byte{} // rest is nil when the buffer has no bytes at all
		}
		text, rest = rest[:length:length], rest[length:]
		return text
	}
	for i := range b.headers {
		h := &b.headers[i]
		records = append(records, heartbeat.Record{
			Offset:      h.offset,
			LeaderEpoch: h.epoch,
			Timestamp:   kafka.RecordTime(h.timestamp),
			Key:         take(h.key),
			Value:       take(h.value),
			Control:     h.control,
		})
		if h.id {
			records[len(records)-1].ID = (*heartbeat.RecordID)(take(int32(len(heartbeat.RecordID{}))))
		}
	}
	return records
}

// reset empties the buffer and keeps its memory.
func (b *recordBuffer) reset() {
	b.headers = b.headers[:0]
	if b.bytes = b.bytes[:0]; cap(b.bytes) > maxBufferedBytes {
		b.bytes = nil
	}
}

// fetchPools lend the client memory to decompress and decode fetches in, and get it back once the records are copied.
// Without them that memory is most of a consumer's garbage.
type fetchPools struct{ bytes, records sync.Pool }

var (
	_ kgo.PoolDecompressBytes = (*fetchPools)(nil)
	_ kgo.PoolRecords         = (*fetchPools)(nil)
)

// inflation is the first size of a decompression buffer, as a multiple of the compressed size.
const inflation = 8

// GetDecompressBytes returns a buffer to decompress into; the client grows it as needed.
func (p *fetchPools) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	if buffer, ok := p.bytes.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, 0, inflation*len(compressed))
}

// PutDecompressBytes takes a buffer back, unless it is too large to keep.
func (p *fetchPools) PutDecompressBytes(buffer []byte) {
	if cap(buffer) <= maxBufferedBytes {
		p.bytes.Put(&buffer)
	}
}

// GetRecords returns a slice with capacity for n records.
func (p *fetchPools) GetRecords(n int) []kgo.Record {
	if records, ok := p.records.Get().(*[]kgo.Record); ok && cap(*records) >= n {
		return *records
	}
	return make([]kgo.Record, 0, n)
}

// PutRecords takes a slice back.
func (p *fetchPools) PutRecords(records []kgo.Record) { p.records.Put(&records) }
