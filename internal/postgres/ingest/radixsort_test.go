package ingest

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestRadixSortIsWhatComparingGives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		customers := rapid.SliceOf(rapid.Uint32Max(rapid.Uint32().Draw(t, "most"))).Draw(t, "customers")
		customers = slices.Repeat(customers, rapid.IntRange(0, 2*minRadixKeys).Draw(t, "times"))
		keys := make([]uint64, len(customers))
		for i, customer := range customers {
			keys[i] = uint64(customer)<<32 | uint64(i)
		}
		want := slices.Sorted(slices.Values(keys))
		scratch := make([]uint64, rapid.IntRange(0, 9).Draw(t, "scratch"))
		if sorted, _ := radixSort(keys, scratch); !slices.Equal(sorted, want) {
			t.Fatalf("sorted %v, want %v", sorted, want)
		}
	})
}

func BenchmarkRadixSort(b *testing.B) {
	batch := fleetBatch(0, 12_000)
	keys := make([]uint64, len(batch.Readings))
	for name, sort := range map[string]func(keys, scratch []uint64) ([]uint64, []uint64){
		"counting":  radixSort,
		"comparing": func(keys, scratch []uint64) ([]uint64, []uint64) { slices.Sort(keys); return keys, scratch },
	} {
		b.Run(name, func(b *testing.B) {
			var scratch []uint64
			b.ReportAllocs()
			for b.Loop() {
				for i := range batch.Readings {
					keys[i] = uint64(batch.Readings[i].Customer)<<32 | uint64(i)
				}
				keys, scratch = sort(keys, scratch)
			}
		})
	}
}
