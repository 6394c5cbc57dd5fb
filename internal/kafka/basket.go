package kafka

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/heartbeat"
)

// basket gathers records of one partition. It holds copies, so that the client has its memory back at once, and no
// pointers, so that the garbage collector has nothing to follow in it.
type basket struct {
	bytes  []byte // keys and values, one behind the other
	places []place
}

// place is a record without its key and value.
type place struct {
	offset     int64
	timestamp  int64 // Unix nanoseconds
	epoch      int32
	key, value int32 // lengths, absent for none
	control    bool
}

const absent = -1

// enoughBytes is how many bytes of keys and values wait for one transaction before their partition is paused, and how much
// memory for them is kept: so many are rare.
const enoughBytes = 4 << 20

// add copies a record and gives it back to the client.
func (b *basket) add(record *kgo.Record) {
	b.places = append(b.places, place{
		offset:    record.Offset,
		timestamp: record.Timestamp.UnixNano(),
		epoch:     record.LeaderEpoch,
		key:       b.put(record.Key),
		value:     b.put(record.Value),
		control:   record.Attrs.IsControl(),
	})
	record.Recycle()
}

func (b *basket) put(text []byte) (length int32) {
	if text == nil {
		return absent
	}
	b.bytes = append(b.bytes, text...)
	return int32(len(text))
}

// appendRecords appends what the basket holds. The keys and values stay the basket's.
func (b *basket) appendRecords(records []heartbeat.Record) []heartbeat.Record {
	rest := b.bytes
	take := func(length int32) (text []byte) {
		switch length {
		case absent:
			return nil
		case 0:
			return []byte{} // where there are no bytes at all, rest is nil
		}
		text, rest = rest[:length:length], rest[length:]
		return text
	}
	for i := range b.places {
		p := &b.places[i]
		records = append(records, heartbeat.Record{
			Offset:      p.offset,
			LeaderEpoch: p.epoch,
			Timestamp:   time.Unix(0, p.timestamp),
			Key:         take(p.key),
			Value:       take(p.value),
			Control:     p.control,
		})
	}
	return records
}

// empty makes room for other records.
func (b *basket) empty() {
	b.places = b.places[:0]
	if b.bytes = b.bytes[:0]; cap(b.bytes) > enoughBytes {
		b.bytes = nil
	}
}

// pools lend the client memory to decompress and decode fetches in, and have it back once the records are in their
// baskets. Without them that memory is most of the garbage of a consumer.
type pools struct{ bytes, records sync.Pool }

var (
	_ kgo.PoolDecompressBytes = (*pools)(nil)
	_ kgo.PoolRecords         = (*pools)(nil)
)

// inflation is how much larger than compressed a buffer for decompressed records begins.
const inflation = 8

// GetDecompressBytes returns a buffer to decompress into; the client grows it as it needs.
func (p *pools) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	if buffer, ok := p.bytes.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, 0, inflation*len(compressed))
}

// PutDecompressBytes takes a buffer back, unless it is too big to keep.
func (p *pools) PutDecompressBytes(buffer []byte) {
	if cap(buffer) <= enoughBytes {
		p.bytes.Put(&buffer)
	}
}

// GetRecords returns room for n records.
func (p *pools) GetRecords(n int) []kgo.Record {
	if records, ok := p.records.Get().(*[]kgo.Record); ok && cap(*records) >= n {
		return *records
	}
	return make([]kgo.Record, 0, n)
}

// PutRecords takes the room back.
func (p *pools) PutRecords(records []kgo.Record) { p.records.Put(&records) }
