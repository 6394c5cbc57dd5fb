package repeat

import (
	"runtime"
	"testing"
)

// BenchmarkTake reports what an id costs that enters a full window and lets another one go.
func BenchmarkTake(b *testing.B) {
	var w Window
	ids := make([]Entry, 2*MaxIDs)
	for i := range ids {
		ids[i] = numbered(i)
	}
	next := 0
	b.ReportAllocs()
	for b.Loop() {
		w.Take(ids[next%len(ids)])
		next++
		if next%1000 == 0 {
			w.Keep()
		}
	}
}

// BenchmarkFullWindow reports the memory of a full window.
func BenchmarkFullWindow(b *testing.B) {
	ids := make([]Entry, MaxIDs)
	for i := range ids {
		ids[i] = numbered(i)
	}
	var used uint64
	for b.Loop() {
		before := heapInUse()
		var w Window
		for _, e := range ids {
			w.Take(e)
		}
		w.Keep()
		used = heapInUse() - before
		runtime.KeepAlive(&w)
	}
	b.ReportMetric(float64(used)/MaxIDs, "B/id")
	b.ReportMetric(float64(used)/(1<<20), "MiB")
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
