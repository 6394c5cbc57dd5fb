package audit

import (
	"context"
	"fmt"
	"math/bits"
)

// ledger has a bit for each offset of a log, set when a row of that offset is met.
type ledger struct {
	Log
	bits []uint64
	set  int64
}

type ledgerKey struct {
	label     string
	partition int32
}

type ledgers struct {
	byKey   map[ledgerKey]*ledger
	ordered []*ledger
	report  *Report
}

func newLedgers(logs []Log, report *Report) *ledgers {
	all := &ledgers{byKey: make(map[ledgerKey]*ledger, len(logs)), report: report}
	for _, log := range logs {
		l := &ledger{Log: log, bits: make([]uint64, (log.Next-log.First+63)/64)}
		all.byKey[ledgerKey{log.Label, log.Partition}] = l
		all.ordered = append(all.ordered, l)
		report.Offsets += log.Next - log.First
	}
	return all
}

// mark takes note of a stored row.
func (all *ledgers) mark(label string, partition int32, offset int64) {
	l := all.byKey[ledgerKey{label, partition}]
	if l == nil || offset < l.First || offset >= l.Next {
		all.report.add(Problem{"P2", label, partition, offset, offset + 1, "a row is stored that no progress accounts for"})
		return
	}
	at := offset - l.First
	word, bit := &l.bits[at/64], uint64(1)<<(at%64)
	if *word&bit != 0 {
		all.report.add(Problem{"P1", label, partition, offset, offset + 1, "stored twice"})
		return
	}
	*word |= bit
	l.set++
}

// judge compares the bits with the counters and, for offsets that have no row, with the broker.
func (l *ledger) judge(ctx context.Context, broker Broker, report *Report) error {
	if stored := l.Records + l.Anomalies + l.DeadLettered; stored != l.set+l.Retired {
		report.add(Problem{"P2", l.Label, l.Partition, l.First, l.Next, fmt.Sprintf(
			"%d rows were written, %d are there and %d were dropped by retention", stored, l.set, l.Retired)})
	}
	if without := l.Next - l.First - l.set; without != l.Skipped+l.Lost+l.Retired {
		report.add(Problem{"P2", l.Label, l.Partition, l.First, l.Next, fmt.Sprintf(
			"%d offsets have no row, want %d skipped + %d lost + %d dropped by retention", without, l.Skipped, l.Lost, l.Retired)})
	}
	if !l.Current {
		return nil
	}
	all, err := broker.Bounds(ctx, l.Topic, l.TopicID)
	if err != nil {
		return err
	}
	bounds, ok := all[l.Partition]
	if !ok {
		return nil // the topic is gone: nothing to compare with
	}
	report.Lag += max(bounds.End-max(l.Next, bounds.Start), 0)
	return l.search(ctx, broker, bounds, report)
}

// near is how close two gaps may lie to be read in one go.
const near = 10_000

// search asks the broker for the offsets without a row: an event there was lost by us, unless retention has dropped
// its row.
func (l *ledger) search(ctx context.Context, broker Broker, bounds Bounds, report *Report) error {
	forgiven := l.Retired
	visit := func(offset int64) {
		switch {
		case l.has(offset):
		case forgiven > 0:
			forgiven--
		default:
			report.add(Problem{"P1", l.Label, l.Partition, offset, offset + 1, "Kafka has a record that is not stored"})
		}
	}
	begin, end := int64(-1), int64(-1) // of the gaps to be read next
	scan := func() error {
		from, to := max(begin, bounds.Start), min(end, bounds.End)
		if from >= to {
			return nil
		}
		return broker.Scan(ctx, l.Topic, l.Partition, from, to, visit)
	}
	for from, to := range l.gaps {
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

func (l *ledger) has(offset int64) bool {
	at := offset - l.First
	return l.bits[at/64]&(1<<(at%64)) != 0
}

// gaps yields the ranges of offsets that have no row, in order.
func (l *ledger) gaps(yield func(from, to int64) bool) {
	from := int64(-1)
	for at := l.First; at < l.Next; {
		word := l.bits[(at-l.First)/64] >> ((at - l.First) % 64)
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
		at += run(word, free, 64-(at-l.First)%64)
	}
	if from >= 0 {
		yield(from, l.Next)
	}
}

// run counts how many bits from the lowest are equal, of the given number.
func run(word uint64, free bool, left int64) int64 {
	if !free {
		word = ^word
	}
	return min(int64(bits.TrailingZeros64(word)), left)
}
