package e2e_test

import (
	"archive/zip"
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// importSummary is what a script reads of `heartbeat import --json`.
type importSummary struct {
	Formats []struct {
		Format   string           `json:"format"`
		Files    int64            `json:"files"`
		Readings int64            `json:"readings"`
		LeftOut  map[string]int64 `json:"left_out"`
		First    *time.Time       `json:"first"`
		Last     *time.Time       `json:"last"`
	} `json:"formats"`
	Skipped  int64    `json:"skipped_files"`
	Faults   []string `json:"faults"`
	Distinct int64    `json:"distinct"`
	Stored   int64    `json:"stored"`
	TooOld   int64    `json:"too_old"`
	Added    int64    `json:"added"`
}

func (f *fixture) importArguments(arguments ...string) []string {
	return append([]string{"import", "--brokers", f.broker, "--topic", f.topic, "--json"}, arguments...)
}

func (f *fixture) startImport(arguments ...string) *role {
	f.t.Helper()
	return start(f.t, command{arguments: f.importArguments(arguments...), environment: f.environment(f.database)})
}

// importFiles imports and returns the summary; the exit code must be the given one.
func (f *fixture) importFiles(code int, arguments ...string) importSummary {
	f.t.Helper()
	role := f.startImport(arguments...)
	if got := role.wait(longWaitTimeout); got != code {
		f.t.Fatalf("import %v ended with code %d, want %d:\n%s", arguments, got, code, tail(role.output.String(), 30))
	}
	return readSummary(f.t, role)
}

func readSummary(t testing.TB, role *role) (summary importSummary) {
	t.Helper()
	output := role.output.String()
	if start := strings.Index(output, "{\n"); start < 0 || json.NewDecoder(strings.NewReader(output[start:])).Decode(&summary) != nil {
		t.Fatalf("the import printed no summary:\n%s", output)
	}
	return summary
}

// importedReadings lists every stored reading: customer, class, stored value and event time.
func (f *fixture) importedReadings() []string {
	f.t.Helper()
	return texts(f.t, f.pool, `
SELECT concat_ws(' ', customer_id, class, heart_rate, to_char(event_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'))
  FROM (SELECT customer_id, 'NORMAL' AS class, heart_rate, event_timestamp FROM heartbeat_records
        UNION ALL
        SELECT customer_id, anomaly_type, heart_rate, event_timestamp FROM heartbeat_anomalies) AS reading
 ORDER BY 1`)
}

func writeFile(t testing.TB, directory, name, content string) string {
	t.Helper()
	path := filepath.Join(directory, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func writeZip(t testing.TB, path string, entries map[string]string) string {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	archive := zip.NewWriter(file)
	for name, content := range entries {
		entry, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	importedApple = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE HealthData [
<!ATTLIST Record type CDATA #REQUIRED
<!ENTITY lol "lollollol">
]>
<HealthData locale="en_US">
 <Record type="HKQuantityTypeIdentifierHeartRate" sourceName="Watch&#11;` + "\v" + `" unit="count/min" startDate="2021-12-11 18:04:47 -0700" endDate="2021-12-11 18:04:47 -0700" value="92"/>
 <Record type="HKQuantityTypeIdentifierHeartRate" sourceName="Watch" unit="count/min" startDate="2021-12-11 18:05:47 -0700" endDate="2021-12-11 18:05:47 -0700" value="301"/>
 <Record type="HKQuantityTypeIdentifierHeartRate" sourceName="Watch" unit="count/s" startDate="2021-12-11 18:06:47 -0700" endDate="2021-12-11 18:06:47 -0700" value="1.5"/>
 <Record type="HKQuantityTypeIdentifierStepCount" sourceName="Watch" unit="count" startDate="2021-12-11 18:06:47 -0700" endDate="2021-12-11 18:06:47 -0700" value="40"/>
</HealthData>
`
	importedObservation = `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/CUST_00042"},` +
		`"effectiveDateTime":"2026-02-20T10:00:00Z","valueQuantity":{"value":44,"unit":"beats/minute","system":"http://unitsofmeasure.org","code":"/min"}}`
	importedBody = `{"heart_rate":{"value":67.5,"unit":"beats/min"},"effective_time_frame":{"date_time":"2020-02-05T07:25:00-08:00"}}`
)

func changed(document, old, replacement string) string {
	if !strings.Contains(document, old) {
		panic(old + " is not in the document")
	}
	return strings.Replace(document, old, replacement, 1)
}

// One file of each format, each with what a format's traps are, against rows written down by hand; then everything once more.
func TestImportOfEveryFormat(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.consume()
	directory := t.TempDir()
	observation := func(old, replacement string) string {
		return `{"resource":` + changed(importedObservation, old, replacement) + `}`
	}
	inner := writeZip(t, filepath.Join(t.TempDir(), "inner.zip"), map[string]string{"readings.ndjson": `{"heart_rate":77,"timestamp":"2020-01-01T00:00:00Z"}`})
	nested, err := os.ReadFile(inner)
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{
		writeZip(t, filepath.Join(directory, "apple.zip"), map[string]string{
			"apple_health_export/export.xml": importedApple, "apple_health_export/export_cda.xml": "<ClinicalDocument/>", "inner.zip": string(nested),
		}),
		filepath.Dir(writeFile(t, directory, "fitbit/heart_rate-2019-04-22.json", `[{"dateTime":"04/22/19 04:00:05","value":{"bpm":69,"confidence":2}},{"dateTime":"04/22/19 04:00:10","value":{"bpm":70,"confidence":0}}]`)),
		writeFile(t, directory, "health-connect", `{"metadata":{"id":"1","clientRecordVersion":0},"samples":[{"time":"2025-05-21T08:43:00Z","beatsPerMinute":79},{"time":"2025-05-21T08:43:05Z","beatsPerMinute":"39"},{"time":"2025-05-21","beatsPerMinute":80}]}`),
		writeFile(t, directory, "fhir", `{"resourceType":"Bundle","type":"collection","entry":[`+strings.Join([]string{
			observation("44", "44.5"), observation("final", "entered-in-error"), observation("final", "cancelled"),
			observation("2026-02-20T10:00:00Z", "2026-02-20"), observation(`"/min"`, `"/s"`),
			observation(`"valueQuantity":{"value":44,"unit":"beats/minute","system":"http://unitsofmeasure.org","code":"/min"}`, `"dataAbsentReason":{"text":"no contact"}`),
			observation("Patient/CUST_00042", "Patient/CUST_00043"),
		}, ",")+`]}`),
		writeFile(t, directory, "open-mhealth", "["+importedBody+","+changed(importedBody, `"effective`, `"descriptive_statistic":"average","effective`)+","+changed(importedBody, "beats/min", "beats/s")+"]"),
		writeFile(t, directory, "readings.csv", "\ufeffcustomer_id;heart_rate;timestamp;device_id\r\n;\"180,9\";2026-02-20 11:00:00;w-7\r\nCUST_00042;0;2026-02-20 11:00:01;\r\n;72;2026-03-29 02:30:00;\r\n;72;1999-12-31 23:00:00;\r\n;72;2100-01-01 00:00:00;\r\n"),
		writeFile(t, directory, "readings.ndjson", `{"heart_rate":40,"timestamp":"2026-02-20T12:00:00.123456Z","device_id":"w-7"}`+"\n"+`{"heart_rate":41,"timest`+"\n"+`{"heart_rate":1e999,"timestamp":"2026-02-20T12:00:01Z"}`+"\n"),
	}
	options := []string{"--customer", "CUST_00042", "--zone", "Europe/Berlin", "--decimal-comma"}
	dry := f.importFiles(0, slices.Concat(paths, options, []string{"--dry-run"})...)
	if dry.Added != 11 || f.stored() != 0 {
		t.Errorf("a dry run would add %d readings, want 11, and stored %d, want none", dry.Added, f.stored())
	}
	first := f.importFiles(0, append(paths, options...)...)
	leftOut := map[string]map[string]int64{}
	for _, format := range first.Formats {
		leftOut[format.Format] = format.LeftOut
	}
	if diff := cmp.Diff(map[string]map[string]int64{
		"apple":          {"not_heart_rate": 1, "wrong_unit": 1},
		"fitbit":         {"low_confidence": 1},
		"health-connect": {"bad_timestamp": 1},
		"fhir":           {"entered_in_error": 1, "cancelled": 1, "bad_timestamp": 1, "wrong_unit": 1, "no_value": 1, "other_customer": 1},
		"openmhealth":    {"descriptive_statistic": 1, "wrong_unit": 1},
		"csv":            {"no_such_time": 1, "timestamp_out_of_range": 2},
		"ndjson":         {"not_json": 1},
	}, leftOut); diff != "" {
		t.Errorf("left out by format and reason (-want +got):\n%s", diff)
	}
	if first.Added != 11 || first.Distinct != 11 || first.Skipped != 2 || len(first.Faults) != 0 {
		t.Errorf("the first import is %+v, want 11 readings added, 2 files of another kind, no fault", first)
	}
	want := []string{
		"CUST_00042 BRADYCARDIA 39 2025-05-21 08:43:05.000000",
		"CUST_00042 INVALID 0 2026-02-20 10:00:01.000000",
		"CUST_00042 INVALID 2147483647 2026-02-20 12:00:01.000000",
		"CUST_00042 INVALID 301 2021-12-12 01:05:47.000000",
		"CUST_00042 NORMAL 40 2026-02-20 12:00:00.123456",
		"CUST_00042 NORMAL 45 2026-02-20 10:00:00.000000",
		"CUST_00042 NORMAL 68 2020-02-05 15:25:00.000000",
		"CUST_00042 NORMAL 69 2019-04-22 02:00:05.000000",
		"CUST_00042 NORMAL 79 2025-05-21 08:43:00.000000",
		"CUST_00042 NORMAL 92 2021-12-12 01:04:47.000000",
		"CUST_00042 TACHYCARDIA 181 2026-02-20 10:00:00.000000",
	}
	if diff := cmp.Diff(want, f.importedReadings()); diff != "" {
		t.Errorf("stored readings (-want +got):\n%s", diff)
	}
	again := f.importFiles(0, append(paths, options...)...)
	if again.Added != 0 || again.Stored != again.Distinct || again.Distinct == 0 {
		t.Errorf("the second import is %+v, want nothing added", again)
	}
	if diff := cmp.Diff(want, f.importedReadings()); diff != "" {
		t.Errorf("stored readings after the second import (-want +got):\n%s", diff)
	}
	f.verify()
}

// intraday is a day of Fitbit's API in a zone, with a reading each 10 s, as clocks on the wall show it, and how many there are.
func intraday(t testing.TB, zone, date string) (document string, begin, end time.Time, readings int64) {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	begin, err = time.ParseInLocation(time.DateOnly, date, location)
	if err != nil {
		t.Fatal(err)
	}
	end = begin.AddDate(0, 0, 1)
	var points []string
	for at := begin; at.Before(end); at = at.Add(10 * time.Second) {
		points = append(points, fmt.Sprintf(`{"time":"%s","value":%d}`, at.In(location).Format(time.TimeOnly), 50+len(points)%100))
	}
	document = fmt.Sprintf(`{"activities-heart":[{"dateTime":"%s"}],"activities-heart-intraday":{"dataset":[%s]}}`, date, strings.Join(points, ","))
	return document, begin, end, int64(len(points))
}

// Days of 23, 24 and 25 hours arrive whole, each reading at its own moment.
func TestImportOfDaylightSavingDays(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.consume()
	for day, hours := range map[string]int64{"2026-03-29": 23, "2026-10-24": 24, "2026-10-25": 25} {
		document, begin, end, readings := intraday(t, "Europe/Berlin", day)
		if readings != hours*360 {
			t.Fatalf("%s has %d readings, want %d hours of 360", day, readings, hours)
		}
		path := writeFile(t, t.TempDir(), "day.json", document)
		if summary := f.importFiles(0, path, "--customer", "CUST_00042", "--zone", "Europe/Berlin"); summary.Added != readings {
			t.Errorf("%s: the import is %+v, want %d readings added", day, summary, readings)
		}
		const wholeDay = `
SELECT count(DISTINCT event_timestamp) FROM heartbeat_records
 WHERE event_timestamp >= $1 AND event_timestamp < $2 AND heart_rate = 50 + (extract(epoch FROM event_timestamp - $1)::bigint / 10) % 100`
		if stored := value[int64](t, f.pool, wholeDay, begin, end); stored != readings {
			t.Errorf("%s: %d readings are stored with their own time and value, want %d", day, stored, readings)
		}
	}
}

// csvReadings writes n readings, a second apart and from a number on, and returns the file's text.
func csvReadings(from, n int) string {
	begin := time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
	var text strings.Builder
	text.WriteString("customer_id,heart_rate,timestamp\n")
	for i := from; i < from+n; i++ {
		fmt.Fprintf(&text, "CUST_%05d,%d,%s\n", 1+i%50, 50+i%90, begin.Add(time.Duration(i)*time.Second).Format(time.RFC3339))
	}
	return text.String()
}

// Imports are killed at any moment, interrupted, and run two at once, over files that overlap: every reading is stored once.
func TestKilledImports(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.consume()
	directory := t.TempDir()
	const all = 60_000
	first := writeFile(t, directory, "first.csv", csvReadings(0, 40_000))
	second := writeFile(t, directory, "second.csv", csvReadings(30_000, 30_000))
	random := rand.New(rand.NewPCG(17, 3))
	for round := range 6 {
		role := f.startImport(first)
		from := f.stored()
		await(t, waitTimeout, func() string {
			if role.ended() || f.stored() > from+random.Int64N(4_000) {
				return ""
			}
			return "nothing of the import is stored"
		})
		if round%2 == 0 {
			role.kill()
			continue
		}
		role.waitForOutput("connected to broker")
		role.signal(syscall.SIGINT)
		if code := role.wait(waitTimeout); code != 0 && !strings.Contains(role.output.String(), "run it again to send the rest") {
			t.Errorf("an interrupted import ended with code %d and does not say what to do:\n%s", code, tail(role.output.String(), 10))
		}
	}
	f.startImport(second).kill()
	at := []*role{f.startImport(first, second), f.startImport(second, first)}
	added := int64(0)
	for _, role := range at {
		role.succeed(longWaitTimeout)
		added += readSummary(t, role).Added
	}
	if again := f.importFiles(0, first, second); again.Added != 0 || again.Stored != all {
		t.Errorf("one more import is %+v, want %d readings stored and none added", again, all)
	}
	rows, distinct := value[int64](t, f.pool, `SELECT count(*) FROM heartbeat_records`),
		value[int64](t, f.pool, `SELECT count(DISTINCT (customer_id, event_timestamp, heart_rate)) FROM heartbeat_records`)
	if rows != all || distinct != all {
		t.Errorf("%d rows and %d different readings are stored, want %d of each; the last two imports added %d", rows, distinct, all, added)
	}
	f.verify()
}

// firstAlert waits for the first alert of the live screen and returns its customer's number.
func (c *console) firstAlert(alerts io.Reader) (customer int64) {
	c.t.Helper()
	lines := bufio.NewScanner(alerts)
	lines.Buffer(nil, 1<<20)
	for event := ""; lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || event != "alerts" {
			continue
		}
		var alerts struct {
			A [][3]int64 `json:"a"`
		}
		if err := json.Unmarshal([]byte(data), &alerts); err != nil {
			c.t.Fatalf("alerts of the live screen: %v in %s", err, data)
		}
		if len(alerts.A) > 0 {
			return alerts.A[0][0]
		}
	}
	c.t.Fatalf("the stream of the live screen ended: %v", lines.Err())
	return 0
}

// Readings of the past land in history: they raise no alarm, are no alert on the live screen, and leave a customer's latest value alone.
func TestImportedReadingsAreNotLive(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.consume()
	console := f.serve()
	console.waitReady()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+console.address+"/api/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	screen, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Body.Close()
	now := time.Now().UTC().Truncate(time.Second)
	live := writeFile(t, t.TempDir(), "live.ndjson", fmt.Sprintf(`{"customer_id":"CUST_00001","heart_rate":72,"timestamp":"%s"}`, now.Format(time.RFC3339)))
	f.importFiles(0, live)
	var text strings.Builder
	text.WriteString("customer_id,heart_rate,timestamp\n")
	for i := range 600 { // ten minutes far beyond the limits, for one who is heard and one who is not; the last ones 121 s ago
		for customer := 1; customer <= 2; customer++ {
			fmt.Fprintf(&text, "CUST_%05d,210,%s\n", customer, now.Add(-125*time.Second-time.Duration(i)*time.Second).Format(time.RFC3339))
		}
	}
	if summary := f.importFiles(0, writeFile(t, t.TempDir(), "old.csv", text.String())); summary.Added != 1_200 {
		t.Fatalf("the import is %+v, want 1200 readings added", summary)
	}
	f.importFiles(0, writeFile(t, t.TempDir(), "now.ndjson", fmt.Sprintf(`{"customer_id":"CUST_00003","heart_rate":200,"timestamp":"%s"}`, time.Now().UTC().Format(time.RFC3339))))
	if first := console.firstAlert(screen.Body); first != 3 {
		t.Errorf("the first alert of the live screen is of customer %d, want 3: the others' readings are of the past", first)
	}
	if rows := value[int64](t, f.pool, `SELECT count(*) FROM heartbeat_anomalies WHERE customer_id < 'CUST_00003' AND anomaly_type = 'TACHYCARDIA'`); rows != 1_200 {
		t.Errorf("%d anomalies are stored, want 1200", rows)
	}
	if alarms := value[int64](t, f.pool, `SELECT count(*) FROM alarms`); alarms != 0 {
		t.Errorf("%d alarms are raised by readings of the past, want none", alarms)
	}
	await(t, waitTimeout, func() string {
		if states := value[int64](t, f.pool, `SELECT count(*) FROM customer_state`); states != 3 {
			return fmt.Sprintf("%d customers have a state, want 3", states)
		}
		return ""
	})
	if latest := texts(t, f.pool, `SELECT concat_ws(' ', heart_rate, extract(epoch FROM event_timestamp)::bigint) FROM customer_state WHERE customer_id = 'CUST_00001'`); latest[0] != fmt.Sprint(72, " ", now.Unix()) {
		t.Errorf("the latest reading is %q, want 72 at %d", latest, now.Unix())
	}
}

// Readings that the consumers' retention refuses are counted and not sent: no dead letters.
func TestImportKnowsTheRetention(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.consume("--retention", "36h").waitForOutput("partition claimed")
	text := fmt.Sprintf("customer_id,heart_rate,timestamp\nCUST_00001,72,%s\nCUST_00001,72,2024-05-01T00:00:00Z\nCUST_00001,200,%s\n",
		time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), time.Now().Add(-37*time.Hour).UTC().Format(time.RFC3339))
	path := writeFile(t, t.TempDir(), "readings.csv", text)
	for added := range []int64{0, 1} {
		if s := f.importFiles(0, path); s.Added != int64(1-added) || s.TooOld != 2 {
			t.Errorf("the import is %+v, want %d added and 2 too old", s, 1-added)
		}
	}
	if rows := value[int64](t, f.pool, `SELECT count(*) FROM dead_letters`); rows != 0 {
		t.Errorf("there are %d dead letters, want none", rows)
	}
}

// A cut file gives what stands before the cut, and a failure.
func TestImportOfCutFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.consume()
	directory := t.TempDir()
	cut := []string{
		writeFile(t, directory, "export.xml", importedApple[:strings.Index(importedApple, "18:06:47")]),
		writeFile(t, directory, "bundle.json", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":`+importedObservation+`},{"resource":`+importedObservation[:90]),
		writeFile(t, directory, "deep.json", `{"resourceType":"Bundle","type":"collection","entry":`+strings.Repeat("[", 20_000)),
		writeFile(t, directory, "photo", "\x89PNG\r\n\x1a\n"),
		writeFile(t, directory, "damaged.zip", "PK\x03\x04 and nothing else"),
	}
	if s := f.importFiles(1, append(cut, "--customer", "CUST_00042")...); s.Added != 3 || len(s.Faults) != 5 {
		t.Errorf("the import is %+v, want 3 readings added and 5 faults", s)
	}
}
