package format

import (
	"io"
	"runtime"
	"strings"
	"testing"
)

// repeated is a text, count times.
type repeated struct {
	text    string
	count   int
	pending string
}

func (r *repeated) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if r.pending == "" {
			if r.count == 0 {
				return n, io.EOF
			}
			r.count--
			r.pending = r.text
		}
		copied := copy(p[n:], r.pending)
		r.pending = r.pending[copied:]
		n += copied
	}
	return n, nil
}

// between is a large text: a head, a text many times, and a tail.
func between(head, text string, count int, tail string) io.Reader {
	return io.MultiReader(strings.NewReader(head), &repeated{text: text, count: count}, strings.NewReader(tail))
}

// heapInUse is what is reachable.
func heapInUse() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// readInMemory reads a large input and wants the heap to stay small all the time. Tests that call it run alone.
func readInMemory(t *testing.T, items Items) (samples, leftOut int) {
	t.Helper()
	const most = 8 << 20
	before := heapInUse()
	for item, err := range items {
		if err != nil {
			t.Fatalf("reading ends after %d samples with %v", samples, err)
		}
		if item.Rejection == nil {
			samples++
		} else {
			leftOut++
		}
		if (samples+leftOut)%5_000 == 0 {
			if now := heapInUse(); now > before+most {
				t.Fatalf("after %d samples the heap has grown by %d MiB, want less than %d", samples, (now-before)>>20, most>>20)
			}
		}
	}
	return samples, leftOut
}

func TestLargeDocumentsAreReadInConstantMemory(t *testing.T) {
	compact := strings.ReplaceAll(heartRateObservation, "\n", "")
	entry := `{"resource":` + compact + `},`
	samples, leftOut := readInMemory(t, FHIR(between(`{"resourceType":"Bundle","type":"collection","entry":[`, entry, 20_000, `{}]}`)))
	if samples != 20_000 || leftOut != 1 {
		t.Errorf("a large Bundle has %d samples and %d entries left out, want 20000 and 1", samples, leftOut)
	}
	samples, _ = readInMemory(t, FHIR(between(`{"resourceType":"Bundle","type":"collection","text":`+compact+`,"contained":[`, "{},", 200_000, `{}],"entry":[]}`)))
	if samples != 0 {
		t.Errorf("an empty Bundle has %d samples", samples)
	}
	samples, _ = readInMemory(t, OpenMHealth(between("[", bareBody+",", 50_000, bareBody+"]")))
	if samples != 50_001 {
		t.Errorf("a large array has %d samples, want 50001", samples)
	}
	samples, leftOut = readInMemory(t, Apple(between(appleHead, appleRecord+`<Record type="HKQuantityTypeIdentifierStepCount" value="1"/>`, 50_000, "</HealthData>")))
	if samples != 50_000 || leftOut != 50_000 {
		t.Errorf("a large export has %d samples and %d other records, want 50000 of each", samples, leftOut)
	}
	samples, _ = readInMemory(t, CSV(between("heart_rate,timestamp\n", "72,2026-02-20T10:00:00Z\n", 50_000, ""), Options{}))
	if samples != 50_000 {
		t.Errorf("a large CSV file has %d samples, want 50000", samples)
	}
	samples, _ = readInMemory(t, HealthConnect(between(`{"samples":[`, `{"time":"2025-05-21T08:43:00Z","beatsPerMinute":79},`, 50_000, `{}]}`)))
	if samples != 50_000 {
		t.Errorf("a large record has %d samples, want 50000", samples)
	}
}

func TestValuesTooLargeAreRefused(t *testing.T) {
	for name, input := range map[string]io.Reader{
		"a string":  between(`{"resourceType":"Bundle","type":"batch","entry":["`, strings.Repeat("x", 1<<20), 4_000, `"]}`),
		"an object": between(`{"resourceType":"Bundle","type":"batch","entry":[{`, `"name":1,`, 1<<30, `"last":1}]}`),
		"blanks":    between(`{"resourceType":"Bundle",`, strings.Repeat(" ", 1<<20), 4_000, `"type":"batch"}`),
	} {
		before := heapInUse()
		_, err := describe(t, FHIR(input))
		if err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
			t.Errorf("%s of 4 GiB gives %v, want that a value is larger than 16 MiB", name, err)
		}
		if now := heapInUse(); now > before+80<<20 {
			t.Errorf("%s of 4 GiB leaves %d MiB on the heap", name, (now-before)>>20)
		}
	}
}
