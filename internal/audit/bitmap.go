package audit

import (
	"context"
	"fmt"
	"math/bits"

	"heartbeat/internal/progress"
)

// offsetBitmap has a bit for each offset of a log, set when a row of that offset is met.
type offsetBitmap struct {
	Log
	bits     []uint64
	set      int64
	repeated []uint64 // a bit for each offset whose record was dropped as a repeat; nil: none
	repeats  int64
}

type logKey struct {
	label     string
	partition int32
}

type offsetBitmaps struct {
	byKey   map[logKey]*offsetBitmap
	ordered []*offsetBitmap
	report  *Report
}

func newOffsetBitmaps(logs []Log, report *Report) *offsetBitmaps {
	all := &offsetBitmaps{byKey: make(map[logKey]*offsetBitmap, len(logs)), report: report}
	for _, log := range logs {
		b := &offsetBitmap{Log: log, bits: make([]uint64, (log.Next-log.First+63)/64)}
		all.byKey[logKey{log.Label, log.Partition}] = b
		all.ordered = append(all.ordered, b)
		report.Offsets += log.Next - log.First
	}
	return all
}

// mark sets the bit of a stored row.
func (all *offsetBitmaps) mark(label string, partition int32, offset int64) {
	b := all.byKey[logKey{label, partition}]
	if b == nil || offset < b.First || offset >= b.Next {
		all.report.Add(Problem{"P2", label, partition, offset, offset + 1, "a row is stored that no progress accounts for"})
		return
	}
	at := offset - b.First
	word, bit := &b.bits[at/64], uint64(1)<<(at%64)
	if *word&bit != 0 {
		all.report.Add(Problem{"P1", label, partition, offset, offset + 1, "stored twice"})
		return
	}
	*word |= bit
	b.set++
}

// markRepeated notes a record that was dropped as a repeat. Its row outlives the readings of its log by a few days.
func (all *offsetBitmaps) markRepeated(label string, partition int32, offset int64) {
	b := all.byKey[logKey{label, partition}]
	if b == nil || offset < b.First || offset >= b.Next {
		return
	}
	if b.has(offset) {
		all.report.Add(Problem{"P1", label, partition, offset, offset + 1, "stored, and noted as a dropped repeat"})
		return
	}
	if b.repeated == nil {
		b.repeated = make([]uint64, len(b.bits))
	}
	at := offset - b.First
	b.repeated[at/64] |= 1 << (at % 64)
	b.repeats++
}

// compare checks the bits against the counters and, for offsets without a row, against the broker.
func (b *offsetBitmap) compare(ctx context.Context, broker Broker, report *Report) error {
	if stored := b.Records + b.Anomalies + b.DeadLettered; stored != b.set+b.Dropped {
		report.Add(Problem{"P2", b.Label, b.Partition, b.First, b.Next, fmt.Sprintf(
			"%d rows were written, %d are there and %d were dropped by retention", stored, b.set, b.Dropped)})
	}
	if without := b.Next - b.First - b.set; without != b.Skipped+b.Lost+b.Dropped {
		report.Add(Problem{"P2", b.Label, b.Partition, b.First, b.Next, fmt.Sprintf(
			"%d offsets have no row, want %d skipped + %d lost + %d dropped by retention", without, b.Skipped, b.Lost, b.Dropped)})
	}
	if b.repeats > b.Skipped {
		report.Add(Problem{"P2", b.Label, b.Partition, b.First, b.Next, fmt.Sprintf(
			"%d repeats are noted, more than the %d skipped", b.repeats, b.Skipped)})
	}
	if !b.Current {
		return nil
	}
	all, err := broker.Bounds(ctx, b.Topic, b.TopicID)
	if err != nil {
		return err
	}
	bounds, ok := all[b.Partition]
	if !ok {
		return nil // the topic is gone: nothing to compare with
	}
	report.Lag += bounds.Lag(b.Next)
	return b.search(ctx, broker, bounds, report)
}

// near is the largest distance between two gaps that are read in one scan.
const near = 10_000

// search asks the broker for the offsets without a row: an event there was lost by us, unless retention has dropped
// its row.
func (b *offsetBitmap) search(ctx context.Context, broker Broker, bounds progress.Bounds, report *Report) error {
	dropped := b.Dropped
	visit := func(offset int64) {
		switch {
		case b.has(offset), b.isRepeat(offset):
		case dropped > 0:
			dropped--
		default:
			report.Add(Problem{"P1", b.Label, b.Partition, offset, offset + 1, "Kafka has a record that is not stored"})
		}
	}
	begin, end := int64(-1), int64(-1) // of the gaps to be read next
	scan := func() error {
		from, to := max(begin, bounds.Start), min(end, bounds.End)
		if from >= to {
			return nil
		}
		return broker.Scan(ctx, b.Topic, b.Partition, from, to, visit)
	}
	for from, to := range b.gaps {
		if begin >= 0 && from-end > near {
			if err := scan(); err != nil {
				return err
			}
			begin = -1
		}
		if begin < 0 {
			begin = from
		}
		end = to
	}
	return scan()
}

func (b *offsetBitmap) has(offset int64) bool {
	at := offset - b.First
	return b.bits[at/64]&(1<<(at%64)) != 0
}

func (b *offsetBitmap) isRepeat(offset int64) bool {
	at := offset - b.First
	return b.repeated != nil && b.repeated[at/64]&(1<<(at%64)) != 0
}

// gaps yields the ranges of offsets that have no row, in order.
func (b *offsetBitmap) gaps(yield func(from, to int64) bool) {
	from := int64(-1)
	for at := b.First; at < b.Next; {
		word := b.bits[(at-b.First)/64] >> ((at - b.First) % 64)
		free := word&1 == 0
		if free && from < 0 {
			from = at
		}
		if !free && from >= 0 {
			if !yield(from, at) {
				return
			}
			from = -1
		}
		at += run(word, free, 64-(at-b.First)%64)
	}
	if from >= 0 {
		yield(from, b.Next)
	}
}

// run counts how many bits from the lowest are equal, of the given number.
func run(word uint64, free bool, left int64) int64 {
	if !free {
		word = ^word
	}
	return min(int64(bits.TrailingZeros64(word)), left)
}
