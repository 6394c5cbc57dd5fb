package e2e_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// largeImport is the size of the generated file in MiB.
func largeImport(t *testing.T) int64 {
	t.Helper()
	given := os.Getenv("HEARTBEAT_TEST_IMPORT_MIB")
	if given == "" {
		return 32
	}
	size, err := strconv.ParseInt(given, 10, 64)
	if err != nil || size < 1 {
		t.Fatalf("HEARTBEAT_TEST_IMPORT_MIB=%s: want a number of MiB", given)
	}
	return size
}

// writeLargeExport writes an export of Apple Health, where one record of four is a heart rate, and returns how many those are.
func writeLargeExport(t *testing.T, path string, size int64) (heartRates int64) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriterSize(file, 1<<20)
	written, _ := fmt.Fprint(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE HealthData [\n<!ELEMENT HealthData (Record*)>\n]>\n<HealthData locale=\"en_US\">\n")
	begin := time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)
	const record = ` <Record type="HKQuantityTypeIdentifier%s" sourceName="Jo&#8217;s Apple Watch" sourceVersion="10.1" device="&lt;&lt;HKDevice: 0x28&gt;, name:Apple Watch, manufacturer:Apple Inc., model:Watch, hardware:Watch6,2, software:10.1&gt;" unit="%s" creationDate="%[3]s" startDate="%[3]s" endDate="%[3]s" value="%[4]d"/>` + "\n"
	for i := int64(0); int64(written) < size<<20; i++ {
		at := begin.Add(time.Duration(i) * 5 * time.Second).Format("2006-01-02 15:04:05 -0700")
		kind, unit := "StepCount", "count"
		if i%4 == 0 {
			kind, unit = "HeartRate", "count/min"
			heartRates++
		}
		n, _ := fmt.Fprintf(out, record, kind, unit, at, 45+i%130)
		written += n
	}
	fmt.Fprint(out, "</HealthData>\n")
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return heartRates
}

// A large file is imported in less than 150 MiB of memory, and adds nothing the second time.
func TestImportOfALargeFile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.consume()
	path := filepath.Join(t.TempDir(), "export.xml")
	want := writeLargeExport(t, path, largeImport(t))
	began := time.Now()
	role := f.startImport(path, "--customer", "CUST_00042")
	var peak int64
	await(t, time.Hour, func() string {
		peak = max(peak, role.peakMemory())
		if !role.ended() {
			return "the import runs"
		}
		return ""
	})
	if code := role.wait(waitTimeout); code != 0 {
		t.Fatalf("the import ended with code %d:\n%s", code, tail(role.output.String(), 20))
	}
	summary := readSummary(t, role)
	t.Logf("%d readings of %d MiB in %v, at most %d MiB of memory", summary.Added, largeImport(t), time.Since(began).Round(time.Second), peak>>20)
	if rows := value[int64](t, f.pool, `SELECT count(*) FROM heartbeat_records`); rows != want || summary.Added != want {
		t.Errorf("%d readings added and %d stored, want %d", summary.Added, rows, want)
	}
	began = time.Now()
	if again := f.importFiles(0, path, "--customer", "CUST_00042"); again.Added != 0 || again.Stored != want {
		t.Errorf("the second import is %+v, want %d stored and none added", again, want)
	}
	t.Logf("once more in %v", time.Since(began).Round(time.Second))
	limit := int64(150 << 20)
	if raceDetector {
		limit *= 5 // the memory that the detector itself takes for each byte
	}
	if peak > limit {
		t.Errorf("the import took %d MiB of memory, want at most %d", peak>>20, limit>>20)
	}
}
