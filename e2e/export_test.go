package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/testkit/prerequisite"
)

const exportColumns = "customer_id,heart_rate,timestamp,class,kafka_topic,kafka_partition,kafka_offset"

// storedReadings is every stored reading as a line of CSV, by SQL alone.
func (f *fixture) storedReadings() []string {
	f.t.Helper()
	return value[[]string](f.t, f.pool, `
SELECT array_agg(concat_ws(',', customer_id, heart_rate, to_char(event_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), class, kafka_topic, kafka_partition, kafka_offset)
                 ORDER BY customer_id, event_timestamp, kafka_partition, kafka_offset)
  FROM (SELECT customer_id, heart_rate, event_timestamp, 'NORMAL' AS class, kafka_topic, kafka_partition, kafka_offset FROM heartbeat_records
        UNION ALL
        SELECT customer_id, heart_rate, event_timestamp, anomaly_type, kafka_topic, kafka_partition, kafka_offset FROM heartbeat_anomalies) AS reading`)
}

// storeReadings stores readings of this moment and of two days around a midnight long ago, with the numbers at the edges of each class.
func (f *fixture) storeReadings() {
	f.t.Helper()
	f.produce("--rate", "5000", "--max-events", "1500", "--seed", "71", "--customers", "40", "--anomaly-rate", "0.2", "--invalid-rate", "0.1").succeed(waitTimeout)
	var records []*kgo.Record
	midnight := time.Date(2026, 2, 21, 0, 0, 0, 0, time.UTC)
	for i, rate := range []string{"72.5", "39.9", "0.2", "180.9", "300.4", "0", "-0", "-17.5", "1e999", "40", "180", "300"} {
		for _, at := range []time.Duration{-time.Microsecond, 0, time.Duration(i) * time.Hour} {
			value := fmt.Sprintf(`{"customer_id":"CUST_00007","heart_rate":%s,"timestamp":"%s","device_id":"w-7"}`, rate, midnight.Add(at).Format(time.RFC3339Nano))
			records = append(records, &kgo.Record{Key: []byte("CUST_00007"), Value: []byte(value)})
		}
	}
	f.send(records)
	f.drain()
}

// export runs an export to a file or directory and returns its path.
func (f *fixture) export(format string, more ...string) string {
	f.t.Helper()
	path := filepath.Join(f.t.TempDir(), "export."+format)
	f.run(append([]string{"export", "--format", format, "--output", path}, more...)...)
	return path
}

func linesOf(t testing.TB, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func TestExportsHoldWhatIsStored(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.storeReadings()
	want := f.storedReadings()
	if len(want) < 1500 {
		t.Fatalf("%d readings are stored, want 1500 and more", len(want))
	}
	whose := map[string][]string{"all": {"--all"}, "each": {"--customer", strings.Join(customersOf(want), ",")}}
	for name, flags := range whose {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := linesOf(t, f.export("csv", flags...))
			got, want := lines[1:], want
			if name == "all" { // goes by day and partition
				slices.Sort(got)
				want = slices.Sorted(slices.Values(want))
			}
			if diff := cmp.Diff(want, got); diff != "" || lines[0] != exportColumns {
				t.Errorf("header %s, readings (-stored +exported):\n%s", lines[0], diff)
			}
		})
	}
	t.Run("one in a stretch of time, as NDJSON", func(t *testing.T) {
		t.Parallel()
		from, to := "2026-02-21T00:00:00.000000Z", "2026-02-21T03:00:00.000000Z"
		var got []string
		for _, line := range linesOf(t, f.export("ndjson", "--customer", "CUST_00007", "--from", from, "--to", to)) {
			var r map[string]any
			decoder := json.NewDecoder(strings.NewReader(line))
			decoder.UseNumber()
			if err := decoder.Decode(&r); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			var fields []string
			for name := range strings.SplitSeq(exportColumns, ",") {
				fields = append(fields, fmt.Sprint(r[name]))
			}
			got = append(got, strings.Join(fields, ","))
		}
		within := slices.DeleteFunc(slices.Clone(want), func(line string) bool {
			fields := strings.Split(line, ",")
			return fields[0] != "CUST_00007" || fields[2] < from || fields[2] >= to
		})
		if diff := cmp.Diff(within, got); diff != "" || len(got) < 12 {
			t.Errorf("readings (-stored +exported):\n%s", diff)
		}
	})
}

// customersOf returns the customers of lines, in order.
func customersOf(lines []string) []string {
	customers := map[string]bool{}
	for _, line := range lines {
		customers[line[:strings.IndexByte(line, ',')]] = true
	}
	return slices.Sorted(maps.Keys(customers))
}

// parquetSums are count and sums of an export's readings.
type parquetSums struct {
	Count, Customers, Rates, Micros, Partitions, Offsets, Days int64
	Classes                                                    map[string]int64
	Means                                                      map[string][2]float64 // count and mean of each class
}

func TestParquetIsReadByDuckDBAndPandas(t *testing.T) {
	t.Parallel()
	python := requireParquetReaders(t)
	f := newFixture(t)
	f.storeReadings()
	work := t.TempDir()
	directory := filepath.Join(work, "readings")
	f.run("export", "--format", "parquet", "--all", "--output", directory)
	script := exec.CommandContext(t.Context(), python, absolute(t, "testdata/read_parquet.py"), directory, absolute(t, "../docs/files.md"))
	script.Dir = work
	var complaints bytes.Buffer
	script.Stderr = &complaints
	output, err := script.Output()
	if err != nil {
		t.Fatalf("read the export: %v\n%s", err, tail(complaints.String(), 20))
	}
	var got struct {
		DuckDB, Pandas parquetSums
		Time           []string
	}
	if err := json.Unmarshal(output, &got); err != nil {
		t.Fatalf("%v in %s", err, output)
	}
	var want parquetSums
	err = f.pool.QueryRow(t.Context(), `
WITH reading AS (
    SELECT customer_id, heart_rate, event_timestamp, 'NORMAL' AS class, kafka_partition, kafka_offset FROM heartbeat_records
    UNION ALL
    SELECT customer_id, heart_rate, event_timestamp, anomaly_type, kafka_partition, kafka_offset FROM heartbeat_anomalies)
SELECT count(*), count(DISTINCT customer_id), sum(heart_rate)::bigint, sum((1000000 * extract(epoch FROM event_timestamp))::bigint)::bigint, sum(kafka_partition)::bigint,
       sum(kafka_offset)::bigint, count(DISTINCT (event_timestamp AT TIME ZONE 'UTC')::date), (SELECT json_object_agg(class, n) FROM (SELECT class, count(*) AS n FROM reading GROUP BY class) AS c),
       (SELECT json_object_agg(class, means) FROM (SELECT class, ARRAY[count(*), round(avg(heart_rate), 6)] AS means FROM reading GROUP BY class) AS c)
  FROM reading`).Scan(&want.Count, &want.Customers, &want.Rates, &want.Micros, &want.Partitions, &want.Offsets, &want.Days, &want.Classes, &want.Means)
	if err != nil {
		t.Fatal(err)
	}
	if want.Days < 3 || len(want.Classes) != 4 {
		t.Fatalf("stored is %+v, want readings of 3 days and 4 classes", want)
	}
	if diff := cmp.Diff(want, got.DuckDB); diff != "" {
		t.Errorf("DuckDB (-SQL +DuckDB):\n%s", diff)
	}
	if diff := cmp.Diff(want, got.Pandas); diff != "" {
		t.Errorf("pandas (-SQL +pandas):\n%s", diff)
	}
	if !slices.Equal(got.Time, []string{"TIMESTAMP WITH TIME ZONE", "UTC"}) {
		t.Errorf("times are %v, want moments in UTC", got.Time)
	}
}

// requireParquetReaders returns a Python that has DuckDB, pandas and PyArrow.
func requireParquetReaders(t *testing.T) string {
	t.Helper()
	return requireCached(t, "parquet/bin/python", "scripts/fetch-parquet-readers")
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// requireCached returns the path of something that a script fetches into .cache.
func requireCached(t *testing.T, name, script string) string {
	t.Helper()
	path := absolute(t, filepath.Join("../.cache", name))
	if _, err := os.Stat(path); err != nil {
		prerequisite.Missing(t, "%s brings what this test needs: %v", script, err)
	}
	return path
}

func TestExportedObservationsAreValidFHIR(t *testing.T) {
	t.Parallel()
	classes := filepath.Dir(requireCached(t, "fhir/ValidateFHIR.class", "scripts/fetch-fhir-validator"))
	f := newFixture(t)
	f.storeReadings()
	file := f.export("fhir", "--customer", "CUST_00007")
	lines := linesOf(t, file)
	// The validator must find what is wrong, or its silence says nothing.
	wrong := filepath.Join(t.TempDir(), "wrong.ndjson")
	if err := os.WriteFile(wrong, []byte(strings.Replace(strings.Replace(lines[0], `"code":"/min"`, `"code":"bpm"`, 1), `"final"`, `"done"`, 1)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	examples := append(fhirExamples(t), importedObservation)
	documented := writeFile(t, t.TempDir(), "examples.ndjson", strings.Join(examples, "\n"))
	output, err := exec.CommandContext(t.Context(), "java", "-cp", classes+":"+classes+"/*", "ValidateFHIR", file, documented, wrong).CombinedOutput()
	if err != nil {
		t.Fatalf("validate the export: %v\n%s", err, output)
	}
	if resources := len(lines) + len(examples) + 1; !strings.HasSuffix(string(output), fmt.Sprintf("%d resources validated\n", resources)) {
		t.Errorf("the validator read other resources than the %d lines:\n%s", resources, output)
	}
	for _, want := range []string{"Observation.status: Unknown code", "The unit 'bpm' is unknown"} {
		if !strings.Contains(string(output), wrong+":1: ") || !strings.Contains(string(output), want) {
			t.Errorf("the validator does not say %q of a wrong status and unit:\n%s", want, output)
		}
	}
	if strings.Contains(string(output), file+":") || strings.Contains(string(output), documented+":") {
		t.Errorf("the validator finds errors in the export or in the examples:\n%s", output)
	}
}

// fhirExamples returns the FHIR resources in the documents, each on one line.
func fhirExamples(t *testing.T) (examples []string) {
	t.Helper()
	documents, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range documents {
		text := strings.Join(linesOf(t, document), "\n")
		for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(text, -1) {
			if !strings.Contains(block[1], `"resourceType"`) {
				continue
			}
			var line bytes.Buffer
			if err := json.Compact(&line, []byte(block[1])); err != nil {
				t.Errorf("%s: %v in %s", document, err, block[1])
			}
			examples = append(examples, line.String())
		}
	}
	if len(examples) == 0 {
		t.Fatal("the documents have no FHIR example")
	}
	return examples
}

func TestInterruptedExportLeavesNoFile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.storeReadings()
	for _, format := range []string{"csv", "parquet"} {
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
			directory := t.TempDir()
			path := filepath.Join(directory, "export")
			lock, err := f.pool.Begin(t.Context())
			if err == nil {
				_, err = lock.Exec(t.Context(), `LOCK TABLE heartbeat_records`)
			}
			if err != nil {
				t.Fatal(err)
			}
			export := start(t, command{
				arguments: []string{"export", "--all", "--format", format, "--output", path}, environment: f.environment(f.database),
			})
			await(t, waitTimeout, func() string {
				if entries, _ := os.ReadDir(directory); len(entries) != 1 {
					return fmt.Sprintf("the directory holds %v, want what is being written", entries)
				}
				return ""
			})
			export.signal(signal)
			code := export.wait(waitTimeout)
			entries, err := os.ReadDir(directory)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case signal == syscall.SIGKILL:
				if len(entries) != 1 || !strings.HasPrefix(entries[0].Name(), ".export.") || !strings.HasSuffix(entries[0].Name(), ".partial") {
					t.Errorf("%s: after SIGKILL the directory holds %v, want a hidden file that ends in .partial", format, entries)
				}
			case len(entries) != 0 || code != 1 || !strings.Contains(export.output.String(), "interrupted"):
				t.Errorf("%s: after an interrupt with exit code %d the directory holds %v:\n%s", format, code, entries, export.output.String())
			}
			if err := lock.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// distinctReadings lists what an import compares: customer, event time, class and stored value, each once. A FHIR export holds no INVALID ones.
func (f *fixture) distinctReadings(format string) []string {
	f.t.Helper()
	var all []string
	for _, line := range f.storedReadings() {
		fields := strings.Split(line, ",")
		if format != "fhir" || fields[3] != "INVALID" {
			all = append(all, strings.Join(fields[:4], ","))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestReadingBackAnExportChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.storeReadings()
	f.consume()
	before := f.storedReadings()
	for _, format := range []string{"csv", "ndjson", "fhir"} {
		path, want := f.export(format, "--all"), f.distinctReadings(format)
		summary := f.importFiles(0, path)
		if summary.Added != 0 || summary.Distinct != int64(len(want)) || summary.Stored != summary.Distinct {
			t.Errorf("%s: the import says %+v, want all of %d distinct readings found stored and none added", format, summary, len(want))
		}
		if diff := cmp.Diff(before, f.storedReadings()); diff != "" {
			t.Errorf("%s: reading it back changed what is stored (-before +after):\n%s", format, diff)
		}
		// Where nothing is stored, the same file brings all back.
		other := newFixture(t)
		other.consume()
		summary = other.importFiles(0, path)
		if diff := cmp.Diff(want, other.distinctReadings("csv")); diff != "" || summary.Added != int64(len(want)) {
			t.Errorf("%s: into an empty database the import says %+v (-exported +imported):\n%s", format, summary, diff)
		}
	}
}
