package postgres

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSortByCustomerIsWhatComparingGives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		customers := rapid.SliceOf(rapid.Uint32Max(rapid.Uint32().Draw(t, "most"))).Draw(t, "customers")
		customers = slices.Repeat(customers, rapid.IntRange(0, 2*fewKeys).Draw(t, "times"))
		keys := make([]uint64, len(customers))
		for i, customer := range customers {
			keys[i] = uint64(customer)<<32 | uint64(i)
		}
		want := slices.Sorted(slices.Values(keys))
		room := make([]uint64, rapid.IntRange(0, 9).Draw(t, "room"))
		if sorted, _ := sortByCustomer(keys, room); !slices.Equal(sorted, want) {
			t.Fatalf("sorted %v, want %v", sorted, want)
		}
	})
}

func BenchmarkSortByCustomer(b *testing.B) {
	batch := fleetBatch(0, 12_000)
	keys := make([]uint64, len(batch.Readings))
	for name, sort := range map[string]func(keys, room []uint64) ([]uint64, []uint64){
		"counting":  sortByCustomer,
		"comparing": func(keys, room []uint64) ([]uint64, []uint64) { slices.Sort(keys); return keys, room },
	} {
		b.Run(name, func(b *testing.B) {
			var room []uint64
			b.ReportAllocs()
			for b.Loop() {
				for i := range batch.Readings {
					keys[i] = uint64(batch.Readings[i].Customer)<<32 | uint64(i)
				}
				keys, room = sort(keys, room)
			}
		})
	}
}
